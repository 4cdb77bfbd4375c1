-- What the guards of several tables call.
--
-- Every function names its search path: a trigger runs with the rights and the path of whoever
-- writes, where a temporary table of the same name would come first.

-- Raise an integrity violation by the constraint name `rule`, so that code and tests can tell one
-- rule from another as they tell constraints.
CREATE FUNCTION refuse(rule text, explanation text) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', explanation
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = rule;
END $$;

-- The trigger `kept` of tables whose rows are never removed.
CREATE FUNCTION refuse_removal() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM refuse(TG_TABLE_NAME || '_kept_for_ever', 'Rows of ' || TG_TABLE_NAME || ' stay.');
    RETURN NULL;
END $$;

-- For triggers whose own condition says all: a rule and its explanation are the arguments.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM refuse(TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;

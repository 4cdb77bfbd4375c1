-- What the guards of several tables call.
--
-- Every function names its search path: a trigger runs with the rights and the path of whoever
-- writes, where a temporary table of the same name would come first.

-- Raise an integrity violation with `rule` for its constraint's name, so that code and tests
-- distinguish these rules as they do constraints.
CREATE FUNCTION raise_violation(rule text, explanation text) RETURNS void LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', explanation
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = rule;
END $$;

-- For the trigger `not_removable` of tables whose rows are never removed.
CREATE FUNCTION forbid_removal() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM raise_violation(TG_TABLE_NAME || '_not_removable',
                            'Rows of ' || TG_TABLE_NAME || ' are never removed.');
    RETURN NULL;
END $$;

-- For triggers whose condition is the whole rule: its name and explanation are the arguments.
CREATE FUNCTION forbid_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM raise_violation(TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;

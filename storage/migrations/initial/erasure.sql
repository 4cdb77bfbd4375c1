-- Free text about a payment is erased by two functions only, and does not come back.
--
-- `forget_payment` erases what may be personal in a payment and marks it; triggers erase the same of
-- rows that arrive later about it. `forget_notifications` erases old evidence. Both run as the
-- tables' owner: the runtime role may not update these columns (storage/privileges.py). Amounts,
-- statuses, times and references stay.

-- Code and provider code are of the provider's list; its messages are free text.
CREATE FUNCTION erased_failure(failure jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN jsonb_typeof(failure) = 'object'
                THEN failure || '{"message": "", "provider_message": null}' ELSE failure END
$$;

-- A refund's reason is free text of the merchant; an entitlement's is the store's code.
CREATE FUNCTION erased_event(data jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE
SET search_path = public, pg_temp AS $$
    SELECT data
        || CASE WHEN data ? 'metadata' THEN '{"metadata": {}}' ELSE '{}' END::jsonb
        || CASE WHEN data ? 'cause' THEN '{"reason": null}' ELSE '{}' END::jsonb
        || CASE WHEN data ? 'failure'
                THEN jsonb_build_object('failure', erased_failure(data -> 'failure'))
                ELSE '{}' END
$$;

-- Erase a payment's free text; false where there is no such payment. An event that still waits
-- after four days belongs to a workflow that was terminated (storage/events.py).
CREATE FUNCTION forget_payment(forgotten uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM payments WHERE id = forgotten FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM payments WHERE id = forgotten AND status = 'pending')
       OR EXISTS (SELECT FROM refunds WHERE payment_id = forgotten AND status = 'pending')
       OR EXISTS (SELECT FROM events WHERE payment_id = forgotten AND delivery = 'waiting'
                  AND created_at > now() - interval '4 days') THEN
        PERFORM raise_violation('payments_forgotten_when_over',
                       'A payment is forgotten once it has ended and its merchant was notified.');
    END IF;
    UPDATE payments SET subject = '', metadata = '{}', return_url = NULL, checkout = NULL,
                        failure = erased_failure(failure),
                        forgotten_at = coalesce(forgotten_at, now())
        WHERE id = forgotten;
    UPDATE refunds SET reason = NULL, failure = erased_failure(failure)
        WHERE payment_id = forgotten;
    UPDATE events SET data = erased_event(data), veto = CASE WHEN veto IS NOT NULL THEN '' END,
                      last_error = NULL
        WHERE payment_id = forgotten;
    UPDATE notifications SET body = '', headers = '{}' WHERE payment_id = forgotten;
    RETURN true;
END $$;

-- Erase the content of at most `most` notifications received before `older_than`; how many.
CREATE FUNCTION forget_notifications(older_than timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    forgotten bigint;
BEGIN
    IF older_than > now() - interval '30 days' THEN
        PERFORM raise_violation('notifications_kept_for_30_days',
                       'Notifications of the last 30 days are evidence.');
    END IF;
    UPDATE notifications SET body = '', headers = '{}' WHERE id IN (
        SELECT id FROM notifications WHERE received_at < older_than AND body <> '' LIMIT most);
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

-- Free text is erased or stays. A pending payment's checkout may also be replaced.
CREATE FUNCTION guard_payment_text() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.subject <> OLD.subject AND NEW.subject <> ''
       OR NEW.metadata <> OLD.metadata AND NEW.metadata <> '{}'
       OR NEW.return_url IS DISTINCT FROM OLD.return_url AND NEW.return_url IS NOT NULL
       OR NEW.checkout IS DISTINCT FROM OLD.checkout AND NEW.checkout IS NOT NULL
          AND OLD.status <> 'pending'
       OR NEW.failure IS DISTINCT FROM OLD.failure AND NEW.status = OLD.status
          AND NEW.failure IS DISTINCT FROM erased_failure(OLD.failure)
       OR OLD.forgotten_at IS NOT NULL AND NEW.forgotten_at IS DISTINCT FROM OLD.forgotten_at THEN
        PERFORM raise_violation('payments_text_fixed', 'Free text of a payment stays, or is erased.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_text BEFORE UPDATE ON payments FOR EACH ROW
    WHEN ((OLD.subject, OLD.metadata, OLD.return_url, OLD.checkout, OLD.failure, OLD.forgotten_at)
          IS DISTINCT FROM
          (NEW.subject, NEW.metadata, NEW.return_url, NEW.checkout, NEW.failure, NEW.forgotten_at))
    EXECUTE FUNCTION guard_payment_text();

-- The result of a refund that has ended, but for the erasure of its failure's messages.
CREATE FUNCTION guard_ended_refund() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.provider_reference, NEW.refunded_at) IS DISTINCT FROM
       (OLD.provider_reference, OLD.refunded_at)
       OR NEW.failure IS DISTINCT FROM OLD.failure
          AND NEW.failure IS DISTINCT FROM erased_failure(OLD.failure) THEN
        PERFORM raise_violation('refunds_end_fixed', 'The result of a refund does not change.');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_end BEFORE UPDATE ON refunds FOR EACH ROW WHEN (OLD.status <> 'pending')
    EXECUTE FUNCTION guard_ended_refund();
CREATE TRIGGER guard_reason BEFORE UPDATE ON refunds FOR EACH ROW
    WHEN (NEW.reason IS DISTINCT FROM OLD.reason AND NEW.reason IS NOT NULL)
    EXECUTE FUNCTION forbid_change('refunds_reason_fixed', 'A reason stays, or is erased.');

-- `forget_payment` holds the payment's row: whoever is about to add to it waits for that, or comes
-- first and is seen by it. Writers of all but notifications hold the row already.
CREATE FUNCTION is_forgotten(payment uuid) RETURNS boolean LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
    moment timestamptz;
BEGIN
    SELECT forgotten_at INTO moment FROM payments WHERE id = payment FOR KEY SHARE;
    RETURN moment IS NOT NULL;
END $$;

-- PostgreSQL fires triggers of one kind by name: each `erase_late` comes before `guard`.
CREATE FUNCTION erase_late_notification() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_forgotten(NEW.payment_id) THEN
        NEW.body := '';
        NEW.headers := '{}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erase_late BEFORE INSERT ON notifications FOR EACH ROW
    WHEN (NEW.payment_id IS NOT NULL) EXECUTE FUNCTION erase_late_notification();

CREATE FUNCTION erase_late_event() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_forgotten(NEW.payment_id) THEN
        NEW.data := erased_event(NEW.data);
        NEW.veto := CASE WHEN NEW.veto IS NOT NULL THEN '' END;
    END IF;
    RETURN NEW;
END $$;
-- A payment that can be forgotten is over, and has an event of that.
CREATE TRIGGER erase_late BEFORE INSERT ON events FOR EACH ROW
    WHEN (NEW.sequence > 1) EXECUTE FUNCTION erase_late_event();
CREATE TRIGGER erase_late_veto BEFORE UPDATE ON events FOR EACH ROW
    WHEN (NEW.veto IS DISTINCT FROM OLD.veto AND NEW.veto <> '')
    EXECUTE FUNCTION erase_late_event();

CREATE FUNCTION erase_late_refund() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
    IF is_forgotten(NEW.payment_id) THEN
        NEW.reason := NULL;
        NEW.failure := erased_failure(NEW.failure);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER erase_late BEFORE INSERT ON refunds FOR EACH ROW
    WHEN (NEW.reason IS NOT NULL) EXECUTE FUNCTION erase_late_refund();
CREATE TRIGGER erase_late_failure BEFORE UPDATE ON refunds FOR EACH ROW
    WHEN (NEW.failure IS DISTINCT FROM OLD.failure AND NEW.failure IS NOT NULL)
    EXECUTE FUNCTION erase_late_refund();

-- Ends a statement that is a transaction by itself when what it was decided on does not hold any more.
CREATE FUNCTION must_hold(holds boolean) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION 'not all of it could be done' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN true;
END
$$;

/**
 * What the replicas do to the tables, each in one statement and so in one transaction that no paused or cut off client can hold open.
 * Every statement inside sees what was committed before it began (READ COMMITTED): where that matters, a lock comes first.
 */

/** The way through the indexes is the right one at any size; a plan made while the tables were empty must not be kept for a million rows. */
export const BY_INDEX = `SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off
  SET enable_material = off SET jit = off`;

/** `p_works`: [{destination, due, recipients}]. Raises unique_violation when the id is there, no_data_found when the body is not whole. */
const STORE = `
  CREATE FUNCTION store(p_id text, p_sender text, p_accepted_at bigint, p_flags integer, p_envelope_id text, p_return_content text,
    p_size bigint, p_checksum bigint, p_body text, p_content bytea, p_works jsonb) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE v_seq bigint;
  BEGIN
    INSERT INTO message (id, sender, accepted_at, flags, envelope_id, return_content, size, checksum, body, content)
      VALUES (p_id, p_sender, p_accepted_at, p_flags, p_envelope_id, p_return_content, p_size, p_checksum, p_body, p_content)
      RETURNING seq INTO v_seq;
    IF p_body IS NOT NULL THEN
      UPDATE body SET complete = true WHERE id = p_body AND NOT complete AND octets = p_size;
      IF NOT FOUND THEN RAISE no_data_found USING MESSAGE = 'the content of message ' || p_id || ' is not there as a whole'; END IF;
    END IF;
    INSERT INTO work (message, destination, due, recipients)
      SELECT v_seq, w.destination, w.due, w.recipients
      FROM jsonb_to_recordset(p_works) AS w(destination text, due bigint, recipients jsonb);
  END $$;
`;

/** One more chunk of a body that comes in; false: the body was swept, or is complete. */
const APPEND = `
  CREATE FUNCTION append(p_body text, p_number integer, p_bytes bytea) RETURNS boolean LANGUAGE plpgsql AS $$
  BEGIN
    IF p_number = 0 THEN INSERT INTO body (id) VALUES (p_body); END IF;
    UPDATE body SET octets = octets + length(p_bytes), touched = clock_timestamp() WHERE id = p_body AND NOT complete;
    IF NOT FOUND THEN RETURN false; END IF;
    INSERT INTO chunk VALUES (p_body, p_number, p_bytes);
    RETURN true;
  END $$;
`;

/** Leases up to p_limit works, oldest due first, of the destinations given with their rooms. Rows without a message: when the destination
 *  has its next unclaimed work (p_now: it was not looked at, somebody else claims there now). */
const CLAIM = `
  CREATE FUNCTION claim(p_owner bigint, p_batch bigint, p_now bigint, p_limit integer, p_per_destination integer,
    p_destinations text[], p_rooms integer[])
  RETURNS TABLE (message bigint, destination text, due bigint, recipients jsonb, id text, sender text, accepted_at bigint, flags integer,
    envelope_id text, return_content text, size bigint, checksum bigint, content bytea) LANGUAGE plpgsql ${BY_INDEX} AS $$
  #variable_conflict use_column
  DECLARE v_mine text[]; v_rooms integer[];
  BEGIN
    -- The count of a destination's leases is only true while nobody else leases there.
    SELECT coalesce(array_agg(p.d), '{}'), coalesce(array_agg(p.r), '{}') INTO v_mine, v_rooms
      FROM unnest(p_destinations, p_rooms) AS p(d, r)
      WHERE pg_try_advisory_xact_lock(hashtextextended('dane_relay.claim ' || p.d, 0));
    WITH picked AS (
      SELECT p.d, greatest(0, least(p.r, p_per_destination - (SELECT count(*) FROM lease l WHERE l.destination = p.d)))::integer AS room
      FROM unnest(v_mine, v_rooms) AS p(d, r)
    ), found AS (
      SELECT f.message, f.destination FROM picked CROSS JOIN LATERAL (
        SELECT w.message, w.destination, w.due FROM work w
        WHERE w.destination = picked.d AND NOT w.held AND w.due <= p_now
          AND NOT EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination)
        ORDER BY w.due, w.message LIMIT picked.room FOR UPDATE OF w SKIP LOCKED
      ) f ORDER BY f.due, f.message LIMIT p_limit
    )
    INSERT INTO lease SELECT f.message, f.destination, p_owner, p_batch FROM found f ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT w.message, w.destination, w.due, w.recipients, m.id, m.sender, m.accepted_at, m.flags, m.envelope_id,
        m.return_content, m.size, m.checksum, m.content
      FROM lease l JOIN work w USING (message, destination) JOIN message m ON m.seq = l.message
      WHERE l.owner = p_owner AND l.batch = p_batch ORDER BY w.due, w.message;
    RETURN QUERY SELECT NULL::bigint, p.d, CASE WHEN p.d = ANY (v_mine) THEN (
        SELECT w.due FROM work w WHERE w.destination = p.d AND NOT w.held
          AND NOT EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination)
        ORDER BY w.due, w.message LIMIT 1) ELSE p_now END,
      NULL::jsonb, NULL::text, NULL::text, NULL::bigint, NULL::integer, NULL::text, NULL::text, NULL::bigint, NULL::bigint, NULL::bytea
      FROM unnest(p_destinations) AS p(d);
  END $$;
`;

/** The work is over; the message leaves with its last one. The caller has locked the message's row. */
const REMOVE_WORK = `
  CREATE FUNCTION remove_work(p_message bigint, p_destination text) RETURNS boolean LANGUAGE plpgsql ${BY_INDEX} AS $$
  BEGIN
    DELETE FROM work WHERE message = p_message AND destination = p_destination;
    IF EXISTS (SELECT FROM work WHERE message = p_message) THEN RETURN false; END IF;
    DELETE FROM attempt WHERE message = p_message;
    DELETE FROM body WHERE id = (SELECT m.body FROM message m WHERE m.seq = p_message);
    DELETE FROM message WHERE seq = p_message;
    RETURN true;
  END $$;
`;

const RECORD_ATTEMPTS = `
  CREATE FUNCTION record_attempts(p_message bigint, p_attempts jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempt SELECT p_message, a.* FROM jsonb_to_recordset(p_attempts) AS a(recipient integer, number integer, address text,
      at bigint, outcome text, status text, cause text, host text) ON CONFLICT DO NOTHING;
    UPDATE message SET tried = true WHERE seq = p_message AND NOT tried;
  $$;
`;

/** Ends a lease with what waits on (p_due NULL: nothing). False: the lease is not ours any more, and nothing was changed. */
const SETTLE = `
  CREATE FUNCTION settle(p_owner bigint, p_message bigint, p_destination text, p_due bigint, p_recipients jsonb, p_attempts jsonb)
  RETURNS boolean LANGUAGE plpgsql ${BY_INDEX} AS $$
  BEGIN
    -- Two who settle the last two works of a message at once would each see the other's, and the message stayed for ever.
    PERFORM FROM message WHERE seq = p_message FOR UPDATE;
    DELETE FROM lease WHERE message = p_message AND destination = p_destination AND owner = p_owner;
    IF NOT FOUND THEN RETURN false; END IF;
    IF p_due IS NULL THEN
      IF remove_work(p_message, p_destination) THEN RETURN true; END IF;
    ELSE
      UPDATE work SET due = p_due, recipients = p_recipients WHERE message = p_message AND destination = p_destination;
    END IF;
    PERFORM record_attempts(p_message, p_attempts);
    RETURN true;
  END $$;
`;

/**
 * After a lost lease: the recipients in p_delivered have their mail, whoever has the work now. His lease ends, so that he does not send it
 * once more if he has not yet, and cannot overwrite this. Everything else that the loser knows is left to the one who has it now.
 */
const DELIVERED_LATE = `
  CREATE FUNCTION delivered_late(p_message bigint, p_destination text, p_delivered integer[], p_attempts jsonb)
  RETURNS boolean LANGUAGE plpgsql ${BY_INDEX} AS $$
  DECLARE v_all jsonb; v_rest jsonb;
  BEGIN
    PERFORM FROM message WHERE seq = p_message FOR UPDATE;
    SELECT recipients INTO v_all FROM work WHERE message = p_message AND destination = p_destination FOR UPDATE;
    IF v_all IS NULL THEN RETURN false; END IF;
    SELECT coalesce(jsonb_agg(r), '[]') INTO v_rest FROM jsonb_array_elements(v_all) AS r WHERE (r->>'index')::integer <> ALL (p_delivered);
    IF v_rest = v_all THEN RETURN false; END IF;
    DELETE FROM lease WHERE message = p_message AND destination = p_destination;
    IF v_rest = '[]' THEN
      IF remove_work(p_message, p_destination) THEN RETURN true; END IF;
    ELSE
      UPDATE work SET recipients = v_rest, due = (SELECT min((r->>'due')::bigint) FROM jsonb_array_elements(v_rest) AS r)
        WHERE message = p_message AND destination = p_destination;
    END IF;
    PERFORM record_attempts(p_message, p_attempts);
    RETURN true;
  END $$;
`;

/** A replica's sign of life; removes the dead, and what the replica holds without knowing of it. False: it was declared dead itself. */
const BEAT = `
  CREATE FUNCTION beat(p_owner bigint, p_seconds integer, p_batches bigint[], p_messages bigint[], p_destinations text[])
  RETURNS boolean LANGUAGE plpgsql ${BY_INDEX} AS $$
  DECLARE v_until timestamptz; v_alive boolean;
  BEGIN
    SELECT until INTO v_until FROM replica WHERE id = p_owner FOR UPDATE;
    v_alive := FOUND;
    UPDATE replica SET until = clock_timestamp() + make_interval(secs => p_seconds) WHERE id = p_owner;
    -- Whose own time had passed has seen the database come back from a restart or a failover, perhaps: the others may be as alive.
    IF v_until > clock_timestamp() THEN
      -- Whoever renews his row at this moment has it locked, or has changed it by the time that it is looked at again.
      DELETE FROM replica WHERE id IN (SELECT r.id FROM replica r WHERE r.until < clock_timestamp() FOR UPDATE SKIP LOCKED)
        AND until < clock_timestamp();
    END IF;
    DELETE FROM lease WHERE owner = p_owner AND batch = ANY (p_batches);
    DELETE FROM lease l USING unnest(p_messages, p_destinations) AS r(message, destination)
      WHERE l.message = r.message AND l.destination = r.destination AND l.owner = p_owner;
    RETURN v_alive;
  END $$;
`;

/** Whether the lease holds, and will for half its time at least, whatever happens to the caller. */
const HOLDS = `
  CREATE FUNCTION holds(p_owner bigint, p_seconds integer, p_message bigint, p_destination text) RETURNS boolean
  LANGUAGE plpgsql ${BY_INDEX} AS $$
  BEGIN
    UPDATE replica SET until = clock_timestamp() + make_interval(secs => p_seconds)
      WHERE id = p_owner AND until < clock_timestamp() + make_interval(secs => p_seconds / 2.0);
    RETURN EXISTS (SELECT FROM lease WHERE message = p_message AND destination = p_destination AND owner = p_owner);
  END $$;
`;

/** When each destination has its next unclaimed work, by skipping from one destination to the next in the index. */
const DESTINATIONS = `
  CREATE FUNCTION destinations() RETURNS TABLE (destination text, due bigint) LANGUAGE plpgsql STABLE ${BY_INDEX} AS $$
  #variable_conflict use_column
  BEGIN
    RETURN QUERY WITH RECURSIVE next AS (
      (SELECT w.destination FROM work w WHERE NOT w.held ORDER BY w.destination LIMIT 1)
      UNION ALL
      SELECT (SELECT w.destination FROM work w WHERE NOT w.held AND w.destination > n.destination ORDER BY w.destination LIMIT 1)
      FROM next n WHERE n.destination IS NOT NULL
    )
    SELECT n.destination, d.due FROM next n CROSS JOIN LATERAL (
      SELECT w.due FROM work w WHERE NOT w.held AND w.destination = n.destination
        AND NOT EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination)
      ORDER BY w.due, w.message LIMIT 1
    ) d;
  END $$;
`;

/** The operator's action on some entries; those that are being delivered are left alone. */
const ACT = `
  CREATE FUNCTION act(p_action text, p_messages bigint[], p_destinations text[], p_now bigint)
  RETURNS TABLE (changed integer, unchanged integer, busy integer) LANGUAGE plpgsql ${BY_INDEX} AS $$
  DECLARE v_key record; v_held boolean;
  BEGIN
    changed := 0; unchanged := 0; busy := 0;
    FOR v_key IN SELECT k.message, k.destination FROM unnest(p_messages, p_destinations) AS k(message, destination) ORDER BY 1, 2 LOOP
      PERFORM FROM message m WHERE m.seq = v_key.message FOR UPDATE;
      SELECT w.held INTO v_held FROM work w WHERE w.message = v_key.message AND w.destination = v_key.destination FOR UPDATE;
      CONTINUE WHEN NOT FOUND;
      IF EXISTS (SELECT FROM lease l WHERE l.message = v_key.message AND l.destination = v_key.destination) THEN
        busy := busy + 1;
      ELSIF p_action = 'delete' THEN
        PERFORM remove_work(v_key.message, v_key.destination);
        changed := changed + 1;
      ELSIF v_held = (p_action IN ('hold', 'retry')) THEN
        unchanged := unchanged + 1;
      ELSIF p_action = 'retry' THEN
        UPDATE work w SET due = least(w.due, p_now), recipients = (
            SELECT jsonb_agg(jsonb_set(r, '{due}', to_jsonb(least((r->>'due')::bigint, p_now)))) FROM jsonb_array_elements(w.recipients) AS r
          ) WHERE w.message = v_key.message AND w.destination = v_key.destination;
        changed := changed + 1;
      ELSE
        UPDATE work w SET held = (p_action = 'hold') WHERE w.message = v_key.message AND w.destination = v_key.destination;
        changed := changed + 1;
      END IF;
    END LOOP;
    RETURN NEXT;
  END $$;
`;

export const FIRST_FUNCTIONS = [
  STORE,
  APPEND,
  CLAIM,
  REMOVE_WORK,
  RECORD_ATTEMPTS,
  SETTLE,
  DELIVERED_LATE,
  BEAT,
  HOLDS,
  DESTINATIONS,
  ACT,
].join("");

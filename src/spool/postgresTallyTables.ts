import { BY_INDEX } from "./postgresFunctions.ts";
import { NEVER_TRIED } from "./queueAdmin.ts";

/**
 * Version 2 of the schema: the queue counted by destination and reason, so that statistics read some thousand rows and not the queue.
 *
 * tally_change  what each statement on `work` changed, added by triggers in its transaction. Rows are only inserted: nobody waits for anybody.
 * tally         the sum of the changes that were folded; with those that were not yet, always exact. Reason '': all of the destination;
 *               destination '': all with that reason.
 *
 * reason        `reasonGroup` of a recipient's last reason, as whoever settled it wrote into its JSON (`group`); of what an earlier release
 *               wrote, the reason itself, and the reader groups it.
 * recipients    with that reason.   entries  with such a recipient.   works  entries too, each in one of its reasons only.
 */
const TABLES = `
  CREATE TABLE tally (
    destination text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    works bigint NOT NULL,
    entries bigint NOT NULL,
    recipients bigint NOT NULL,
    PRIMARY KEY (destination, reason)
  ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
  CREATE INDEX tally_destination ON tally (destination) WHERE reason = '';
  CREATE TABLE tally_change (
    destination text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    works bigint NOT NULL,
    entries bigint NOT NULL,
    recipients bigint NOT NULL
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
`;

/** An entry in the columns of the tally. */
const REASONS = `
  CREATE FUNCTION reasons(p_recipients jsonb) RETURNS TABLE (reason text, works integer, recipients bigint) LANGUAGE sql IMMUTABLE AS $$
    SELECT g.reason, (row_number() OVER (ORDER BY g.reason COLLATE "C") = 1)::integer, g.recipients FROM (
      SELECT coalesce(nullif(coalesce(r->>'group', left(r #>> '{lastOutcome,cause,text}', 200), '${NEVER_TRIED}'), ''), '(none)') AS reason, count(*) AS recipients
      FROM jsonb_array_elements(p_recipients) AS r GROUP BY 1
    ) g
  $$;
`;

const counted = (of: string, sign: "" | "-"): string => `
  SELECT w.destination, r.reason, ${sign}r.works AS works, ${sign}1 AS entries, ${sign}r.recipients AS recipients
  FROM ${of} w CROSS JOIN LATERAL dane_relay.reasons(w.recipients) r`;

const COLUMNS = "destination, reason, works, entries, recipients";
const summed = (of: string, by: string, columns = COLUMNS): string =>
  `SELECT ${columns} FROM (
    SELECT destination, reason, sum(works) AS works, sum(entries) AS entries, sum(recipients) AS recipients FROM (${of}) c
    GROUP BY ${by} HAVING sum(works) <> 0 OR sum(entries) <> 0 OR sum(recipients) <> 0
  ) s`;
/** As the tally has them: beside each destination's reasons the sums of each destination and of each reason. */
const IN_TALLY = "coalesce(destination, '') AS destination, coalesce(reason, '') AS reason, works, entries, recipients";
const sumsOf = (of: string): string => summed(of, "GROUPING SETS ((destination, reason), (destination), (reason))", IN_TALLY);

/** Whatever session does it: names are whole. */
function trigger(event: "INSERT" | "UPDATE" | "DELETE", transition: string, changes: string): string {
  const name = `tally_${event.toLowerCase()}`;
  return `
  CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO dane_relay.tally_change (${COLUMNS}) ${summed(changes, "1, 2")};
    RETURN NULL;
  END $$;
  CREATE TRIGGER ${name} AFTER ${event} ON work REFERENCING ${transition} FOR EACH STATEMENT EXECUTE FUNCTION ${name}();
`;
}

const TRIGGERS = [
  trigger("INSERT", "NEW TABLE AS is_now", counted("is_now", "")),
  trigger("UPDATE", "OLD TABLE AS was NEW TABLE AS is_now", `${counted("is_now", "")} UNION ALL ${counted("was", "-")}`),
  trigger("DELETE", "OLD TABLE AS was", counted("was", "-")),
].join("");

/** Adds some changes to the sums; how many. None while somebody else does it. */
const FOLD = `
  CREATE FUNCTION fold_tally(p_most integer) RETURNS bigint LANGUAGE plpgsql ${BY_INDEX} AS $$
  DECLARE v_folded bigint; v_destinations text[]; v_reasons text[];
  BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('dane_relay.fold_tally', 0)) THEN RETURN 0; END IF;
    WITH taken AS (
      DELETE FROM tally_change WHERE ctid = ANY (ARRAY(SELECT ctid FROM tally_change LIMIT p_most)) RETURNING *
    ), sums AS (${sumsOf("SELECT * FROM taken")}), added AS (
      INSERT INTO tally (${COLUMNS}) SELECT ${COLUMNS} FROM sums ORDER BY 1, 2
      ON CONFLICT (destination, reason) DO UPDATE SET works = tally.works + excluded.works, entries = tally.entries + excluded.entries,
        recipients = tally.recipients + excluded.recipients
      RETURNING destination, reason, entries
    )
    SELECT (SELECT count(*) FROM taken), array_agg(destination), array_agg(reason) INTO v_folded, v_destinations, v_reasons
      FROM added WHERE entries = 0;
    DELETE FROM tally t USING unnest(v_destinations, v_reasons) AS g(destination, reason)
      WHERE t.destination = g.destination AND t.reason = g.reason AND t.works = 0 AND t.entries = 0 AND t.recipients = 0;
    RETURN v_folded;
  END $$;
`;

/** The triggers first: from then on nobody changes `work` until this is committed, and the count is right. */
export const TALLY_TABLES = [
  TABLES,
  REASONS,
  TRIGGERS,
  `INSERT INTO tally (${COLUMNS}) ${sumsOf(counted("work", ""))};`,
  FOLD,
  // When the oldest entry of a destination was accepted.
  "CREATE INDEX work_destination ON work (destination, message);",
].join("");

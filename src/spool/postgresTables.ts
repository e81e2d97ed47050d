/** Rows come and go: with the usual fifth of dead ones a long queue would be read through them. */
const VACUUM = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000";

/**
 * The tables of the shared spool, in a schema of their own.
 *
 * message   what was accepted. Content is inline (`content`) or in chunks (`body`).
 * body      content that comes, or came, in chunks; `complete` once a message refers to it, in the same transaction.
 * work      the recipients of one message at one destination that are not settled for good; `due` is the earliest of their due times.
 *           A claim does not touch it: what changes often is in tables of its own, which stay small.
 * replica   who claims. The row is the replica's life: as long as it is there, its leases hold; who removes it, because `until` has passed
 *           by the database's clock, ends them all at once. A replica whose row is gone can never claim under that number again.
 * lease     a claimed work. No lease without a replica (foreign key): one that was declared dead and lives on is refused by the database.
 * attempt   what happened to each recipient so far, as long as its message is in the queue.
 */
export const FIRST_TABLES = `
  CREATE TABLE body (
    id text COLLATE "C" PRIMARY KEY,
    octets bigint NOT NULL DEFAULT 0,
    complete boolean NOT NULL DEFAULT false,
    touched timestamptz NOT NULL DEFAULT clock_timestamp()
  ) WITH (fillfactor = 50, ${VACUUM});
  CREATE TABLE chunk (
    body text COLLATE "C" NOT NULL REFERENCES body ON DELETE CASCADE,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (body, number)
  ) WITH (${VACUUM});
  ALTER TABLE chunk ALTER COLUMN bytes SET STORAGE EXTERNAL;
  CREATE TABLE message (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL,
    sender text COLLATE "C" NOT NULL,
    accepted_at bigint NOT NULL,
    flags integer NOT NULL,
    envelope_id text,
    return_content text,
    size bigint NOT NULL,
    checksum bigint NOT NULL,
    tried boolean NOT NULL DEFAULT false,
    body text COLLATE "C",
    content bytea
  ) WITH (fillfactor = 90, ${VACUUM});
  ALTER TABLE message ALTER COLUMN content SET STORAGE EXTERNAL;
  CREATE UNIQUE INDEX message_id ON message (id);
  CREATE INDEX message_accepted ON message (accepted_at, id);
  CREATE INDEX message_tried ON message (seq) WHERE tried;
  CREATE TABLE work (
    message bigint NOT NULL REFERENCES message,
    destination text COLLATE "C" NOT NULL,
    due bigint NOT NULL,
    held boolean NOT NULL DEFAULT false,
    recipients jsonb NOT NULL,
    PRIMARY KEY (message, destination)
  ) WITH (${VACUUM});
  CREATE INDEX work_due ON work (destination, due, message) WHERE NOT held;
  CREATE INDEX work_held ON work (message) WHERE held;
  CREATE TABLE replica (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    until timestamptz NOT NULL
  ) WITH (fillfactor = 10);
  CREATE TABLE lease (
    message bigint NOT NULL,
    destination text COLLATE "C" NOT NULL,
    owner bigint NOT NULL REFERENCES replica ON DELETE CASCADE,
    batch bigint NOT NULL,
    PRIMARY KEY (message, destination)
  ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
  CREATE INDEX lease_destination ON lease (destination);
  CREATE INDEX lease_owner ON lease (owner);
  CREATE TABLE attempt (
    message bigint NOT NULL REFERENCES message,
    recipient integer NOT NULL,
    number integer NOT NULL,
    address text NOT NULL,
    at bigint NOT NULL,
    outcome text NOT NULL,
    status text,
    cause text,
    host text,
    PRIMARY KEY (message, recipient, number)
  );
`;

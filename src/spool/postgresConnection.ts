/** Where the database is, and who asks. */
export type PostgresServer = {
  host: string;
  port: number;
  user?: string;
  password?: string;
  passwordFile?: string;
  database: string;
  tls: { mode: "disable" } | { mode: "verify-full"; caFile?: string };
};

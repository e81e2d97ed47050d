/**
 * A log-in at submission or at the operator's page that did not succeed; `user` only where there is one of that name: what else is given may be a password.
 * `succeeded`: at the operator's page, whose actions are then audited.
 */
export type AuthenticationEvent = {
  event: "authentication";
  result: "failed" | "succeeded";
  client: string;
  reason: string;
  user?: string;
};

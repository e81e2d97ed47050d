/** Closes all of them in turn, also when one cannot be closed; rejects at the end with what was wrong first. */
export async function closeInTurn(parts: readonly (() => Promise<void> | void)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const close of parts) {
    try {
      await close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

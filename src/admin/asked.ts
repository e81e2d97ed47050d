/** What was asked of a part of the relay that may fail or hang: its answer, or why there is none. A page shows what it has. */
export type Asked<T> = { kind: "known"; value: T } | { kind: "unknown"; reason: string };

const PATIENCE_MILLISECONDS = 5000;

/** Never rejects. */
export async function asked<T>(ask: () => Promise<T>, milliseconds = PATIENCE_MILLISECONDS): Promise<Asked<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Asked<T>>((resolve) => {
    const reason = `no answer within ${milliseconds / 1000} s`;
    timer = setTimeout(() => resolve({ kind: "unknown", reason }), milliseconds);
  });
  try {
    const answer = ask().then((value): Asked<T> => ({ kind: "known", value }));
    return await Promise.race([answer, late]);
  } catch (error) {
    // Said on the page in the part's own words.
    return { kind: "unknown", reason: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}

import { type Disagreement, questionText, type Result } from "./campaign.ts";
import { explanationOf, isDowngrade } from "./explanations.ts";
import { opinionText } from "./judges.ts";

/** The outcome of a campaign in figures and in words. */
export class DifferentialReport {
  readonly verdicts = new Map<string, number>();
  readonly labels = new Map<string, number>();
  readonly explained = new Map<string, number>();
  readonly unexplained: string[] = [];
  readonly downgrades: string[] = [];
  mutants = 0;

  result({ mutant, unbound }: Result): void {
    this.mutants += 1;
    count(this.verdicts, opinionText(unbound));
    for (const label of mutant.labels) count(this.labels, label);
  }

  /** Returns what must be looked at. */
  disagreement(one: Disagreement): string | undefined {
    const explanation = explanationOf(one);
    const text = disagreementText(one);
    if (explanation === undefined) this.unexplained.push(text);
    else count(this.explained, `${explanation.kind}: ${explanation.title}. ${explanation.why}`);
    if (isDowngrade(one)) this.downgrades.push(text);
    return explanation === undefined || isDowngrade(one) ? text : undefined;
  }

  text(): string {
    const agreed = this.mutants - this.unexplained.length - [...this.explained.values()].reduce((sum, n) => sum + n, 0);
    return [
      `${this.mutants} mutants by ${this.labels.size} kinds of change: ${agreed} agreed`,
      ...table("Unbound's verdicts", this.verdicts),
      ...table("disagreements that are explained", this.explained),
      `unexplained disagreements: ${this.unexplained.length}`,
      ...this.unexplained,
      `answers that Unbound refuses, we take, and the zone did not give: ${this.downgrades.length}`,
      ...this.downgrades,
    ].join("\n");
  }
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function table(title: string, counts: ReadonlyMap<string, number>): string[] {
  const lines = [...counts].toSorted(([, a], [, b]) => b - a).map(([key, n]) => `${String(n).padStart(7)} ${key}`);
  return [`${title}:`, ...lines];
}

function disagreementText({ mutant, ours, unbound, delv, truth }: Disagreement): string {
  const at = `${mutant.way}: ${questionText(mutant.question)}, spoiled at ${questionText(mutant.spoiled)} of level ${mutant.level} (${mutant.labels.join(", ")})`;
  const opinions = Object.entries({ ours, unbound, delv, truth }).map(([who, opinion]) => {
    if (opinion === undefined) return `${who} was not asked`;
    const why = opinion.status === "refused" ? ` (${opinion.why.trim()})` : "";
    return `${who} ${opinionText(opinion)}${why}`;
  });
  return `  mutant ${mutant.number}: ${at}: ${opinions.join("; ")}`;
}

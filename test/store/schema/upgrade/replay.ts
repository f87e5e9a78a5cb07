import { Client } from "pg";
import { type Answer, type Recording, fromValue, listen } from "./recording.ts";

/** Code of an earlier release: runs its recorded statements on one connection. */
export class OldCode {
  readonly #client: Client;
  readonly #recording: Recording;
  #next = 0;

  private constructor(client: Client, recording: Recording) {
    this.#client = client;
    this.#recording = recording;
  }

  static async connect(url: string, recording: Recording): Promise<OldCode> {
    const client = new Client({ connectionString: url, application_name: "sessiond of an earlier release" });
    await client.connect();
    return new OldCode(client, recording);
  }

  /** Number of recorded statements. */
  get length(): number {
    return this.#recording.exchanges.length;
  }

  /** Runs statements up to number `end`, and returns those with a different answer. */
  async go(end = this.length): Promise<readonly Difference[]> {
    const differences: Difference[] = [];
    for (; this.#next < end; this.#next++) {
      const exchange = this.#recording.exchanges[this.#next];
      const statement = exchange && this.#recording.statements[exchange.statement];
      if (exchange === undefined || statement === undefined) throw new Error("the recording is damaged");
      const values = exchange.values.map(fromValue);
      const answer = await listen(this.#client, () => this.#client.query({ ...statement, values }));
      if (JSON.stringify(answer) !== JSON.stringify(exchange.answer)) {
        differences.push({ text: statement.text, expected: exchange.answer, answer });
      }
    }
    return differences;
  }

  /** Runs statements until it is in a transaction that holds a row lock. */
  async goIntoTransaction(): Promise<void> {
    const { exchanges, statements } = this.#recording;
    const place = exchanges.findIndex(({ statement }) => statements[statement]?.text.includes("for update"));
    await this.go(place + 1);
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

/** A statement with a different answer. */
export interface Difference {
  readonly text: string;
  readonly expected: Answer;
  readonly answer: Answer;
}

/** Takes the place of the store's batcher: runs each item by itself, as soon as it comes. */
export class Batcher<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly Result[]>;

  constructor(run: (items: readonly Item[]) => Promise<readonly Result[]>) {
    this.#run = run;
  }

  readonly idle = true;

  async submit(item: Item): Promise<Result> {
    const [result] = await this.#run([item]);
    return result as Result;
  }
}

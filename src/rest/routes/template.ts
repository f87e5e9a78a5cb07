/** A segment of a path template: a literal, `*` (any one segment) or `**` (zero or more segments). */
export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "any" }
  | { readonly kind: "rest" };

/** A variable `{field.path=segments}` and the range of segments that it captures. */
export interface Variable {
  readonly fieldPath: string;
  /** Index of the first captured segment. */
  readonly start: number;
  /** Index after the last captured segment; undefined if the variable ends in `**` and captures the rest. */
  readonly end: number | undefined;
  /** Whether the capture may have several segments. It then keeps `%2F`, which would look like a separator if decoded. */
  readonly multiSegment: boolean;
}

export interface Template {
  readonly text: string;
  readonly segments: readonly Segment[];
  readonly variables: readonly Variable[];
  readonly verb: string | undefined;
}

const literalPattern = /^(?:[A-Za-z0-9\-._~!$&'()+,;=@]|%[0-9A-Fa-f]{2})+$/;
const fieldPathPattern = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;

/** Parses a template by the grammar of google/api/http.proto. Errors name the position. */
export function parseTemplate(text: string): Template {
  return new TemplateParser(text).template();
}

class TemplateParser {
  readonly #text: string;
  #position = 0;
  readonly #segments: Segment[] = [];
  readonly #variables: Variable[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  template(): Template {
    if (!this.#take("/")) this.#fail("must begin with a slash");
    do this.#segment();
    while (this.#take("/"));
    const verb = this.#take(":") ? this.#literal("verb") : undefined;
    if (this.#position < this.#text.length) this.#fail(`unexpected "${this.#text.charAt(this.#position)}"`);
    return { text: this.#text, segments: this.#segments, variables: this.#variables, verb };
  }

  #segment(): void {
    if (!this.#take("{")) return this.#plainSegment();
    const fieldPath = this.#until(/[=}]/g);
    if (!fieldPathPattern.test(fieldPath)) this.#fail(`"${fieldPath}" is not a field path`);
    const start = this.#segments.length;
    if (this.#take("=")) {
      do this.#plainSegment();
      while (this.#take("/"));
    } else {
      this.#add({ kind: "any" });
    }
    if (!this.#take("}")) {
      this.#fail(`the variable "${fieldPath}" is not closed by "}"; variables do not nest`);
    }
    const endsInRest = this.#segments.at(-1)?.kind === "rest";
    this.#variables.push({
      fieldPath,
      start,
      end: endsInRest ? undefined : this.#segments.length,
      multiSegment: endsInRest || this.#segments.length - start > 1,
    });
  }

  #plainSegment(): void {
    if (this.#take("**")) this.#add({ kind: "rest" });
    else if (this.#take("*")) this.#add({ kind: "any" });
    else this.#add({ kind: "literal", text: this.#literal("segment") });
  }

  #add(segment: Segment): void {
    if (this.#segments.at(-1)?.kind === "rest") this.#fail(`"**" must be the last segment`);
    this.#segments.push(segment);
  }

  #literal(what: "segment" | "verb"): string {
    const literal = this.#until(/[/{}*:]/g);
    if (literal === "") this.#fail(`empty ${what}`);
    if (!literalPattern.test(literal)) {
      this.#fail(`the ${what} "${literal}" has a character that must be percent-encoded`);
    }
    return literal;
  }

  #until(stop: RegExp): string {
    stop.lastIndex = this.#position;
    const end = stop.exec(this.#text)?.index ?? this.#text.length;
    const taken = this.#text.slice(this.#position, end);
    this.#position = end;
    return taken;
  }

  #take(token: string): boolean {
    if (!this.#text.startsWith(token, this.#position)) return false;
    this.#position += token.length;
    return true;
  }

  #fail(reason: string): never {
    throw new Error(`path template "${this.#text}", character ${this.#position + 1}: ${reason}`);
  }
}

/** What YAML can say, as far as `readYaml` reads it. */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

/**
 * Reads documents in the part of YAML that manifests are written in: mappings and sequences in block form, scalars of one line,
 * JSON for what stands in brackets. Anything else is an error, never another meaning.
 */
export function readYaml(text: string): readonly Yaml[] {
  return text
    .split(/^---$/m)
    .map(linesOf)
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const { value, rest } = readBlock(lines, 0);
      if (rest.length > 0) throw wrong(rest[0]);
      return value;
    });
}

function linesOf(document: string): readonly Line[] {
  return document.split("\n").flatMap((raw, i) => {
    const text = raw.replace(/(^|\s)#.*$/, "").trimEnd();
    const indent = text.search(/\S/);
    return indent < 0 ? [] : [{ indent, text: text.trimStart(), number: i + 1 }];
  });
}

interface Read {
  readonly value: Yaml;
  readonly rest: readonly Line[];
}

/** The value that begins at the first line, which must be indented by just `indent`. */
function readBlock(lines: readonly Line[], indent: number): Read {
  const [first] = lines;
  if (first?.indent !== indent) throw wrong(first);
  return first.text.startsWith("- ") ? readSequence(lines, indent) : readMapping(lines, indent);
}

function readSequence(lines: readonly Line[], indent: number): Read {
  const value: Yaml[] = [];
  let rest = lines;
  for (let [line] = rest; line?.indent === indent && line.text.startsWith("- "); [line] = rest) {
    const item = line.text.slice(2);
    if (isPair(item)) {
      const read = readMapping([{ ...line, indent: indent + 2, text: item }, ...rest.slice(1)], indent + 2);
      value.push(read.value);
      rest = read.rest;
    } else {
      value.push(readScalar(item, line));
      rest = rest.slice(1);
    }
  }
  return { value, rest };
}

function readMapping(lines: readonly Line[], indent: number): Read {
  const value: Record<string, Yaml> = {};
  let rest = lines;
  for (let [line] = rest; line?.indent === indent && !line.text.startsWith("- "); [line] = rest) {
    const [, key = "", scalar = ""] = /^([A-Za-z][\w./-]*):(?: (.+))?$/.exec(line.text) ?? [];
    if (key === "" || key in value) throw wrong(line);
    rest = rest.slice(1);
    const [next] = rest;
    if (scalar !== "") value[key] = readScalar(scalar, line);
    else if (next === undefined || next.indent <= indent) throw wrong(line);
    else ({ value: value[key], rest } = readBlock(rest, indent + 2));
  }
  return { value, rest };
}

function isPair(text: string): boolean {
  return /^[A-Za-z][\w./-]*:( |$)/.test(text);
}

function readScalar(text: string, line: Line): Yaml {
  if (/^["[{]/.test(text)) return JSON.parse(text);
  if (text === "true" || text === "false") return text === "true";
  if (/^(0|[1-9]\d*)$/.test(text)) return Number(text);
  if (/^[1-9]\d*(m|[KMG]i)$/.test(text)) return text;
  // What YAML 1.1 takes for something else than text, and indicators.
  if (/^(y|n|yes|no|on|off|null|~|[-+.\d].*|[!&*>|%@`'?,\]}].*)$/i.test(text) || text.includes(": ")) {
    throw wrong(line);
  }
  return text;
}

function wrong(line: Line | undefined): Error {
  return new Error(`line ${line?.number} of its document is not understood: ${line?.text}`);
}

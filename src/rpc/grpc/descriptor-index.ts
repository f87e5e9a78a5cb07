import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** A file and its direct and indirect imports, each once, as binary google.protobuf.FileDescriptorProto. */
export type FileWithImports = Uint8Array[];

/** Finds descriptors by full names without a leading dot. Returns undefined for an unknown name. */
export interface DescriptorIndex {
  fileNamed(path: string): FileWithImports | undefined;
  /** Finds a message, field, oneof, enum, enum value, extension, service or method. */
  fileOfSymbol(name: string): FileWithImports | undefined;
  fileOfExtension(message: string, number: number): FileWithImports | undefined;
  /** Empty for a message without extensions. */
  extensionNumbers(message: string): number[] | undefined;
}

/** Indexes files and their imports. */
export function createDescriptorIndex(roots: Iterable<DescFile>): DescriptorIndex {
  const files = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const extensions = new Map<string, Map<number, DescFile>>();

  for (const file of roots) for (const each of withImports(file)) files.set(each.proto.name, each);
  for (const file of files.values()) {
    for (const name of symbolsIn(file)) symbols.set(name, file);
    for (const type of nestedTypes(file)) {
      if (type.kind === "message" && !extensions.has(type.typeName)) extensions.set(type.typeName, new Map());
      if (type.kind !== "extension") continue;
      const numbers = extensions.get(type.extendee.typeName) ?? new Map<number, DescFile>();
      extensions.set(type.extendee.typeName, numbers.set(type.number, file));
    }
  }

  const encoded = new Map<DescFile, Uint8Array>();
  const encode = (file: DescFile) => {
    const known = encoded.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    encoded.set(file, known);
    return known;
  };
  const found = (file: DescFile | undefined) =>
    file === undefined ? undefined : [...withImports(file)].map(encode);

  return {
    fileNamed: (path) => found(files.get(path)),
    fileOfSymbol: (name) => found(symbols.get(name)),
    fileOfExtension: (message, number) => found(extensions.get(message)?.get(number)),
    extensionNumbers: (message) => {
      const numbers = extensions.get(message);
      return numbers === undefined ? undefined : [...numbers.keys()];
    },
  };
}

function withImports(file: DescFile, seen = new Set<DescFile>()): Set<DescFile> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const imported of file.dependencies) withImports(imported, seen);
  return seen;
}

function* symbolsIn(file: DescFile): Iterable<string> {
  for (const type of nestedTypes(file)) {
    yield type.typeName;
    switch (type.kind) {
      case "message":
        for (const member of [...type.fields, ...type.oneofs]) yield `${type.typeName}.${member.name}`;
        break;
      case "service":
        for (const method of type.methods) yield `${type.typeName}.${method.name}`;
        break;
      case "enum": {
        // The values of an enum are in the scope of the enum, as in C++.
        const scope = type.typeName.slice(0, -type.name.length);
        for (const value of type.values) yield `${scope}${value.name}`;
        break;
      }
      case "extension":
        break;
    }
  }
}

import type { AnyDesc, DescFile } from "@bufbuild/protobuf";

type Documented = Exclude<AnyDesc, DescFile>;

/**
 * The leading comment of a declaration, with one line for each paragraph; "" without one. Generated stubs have no comments: the
 * descriptors must come from a compiler that keeps `source_code_info`.
 */
export function commentOf(desc: Documented): string {
  const path = sourcePath(desc).join();
  const file = "file" in desc ? desc.file : desc.parent.file;
  const location = file.proto.sourceCodeInfo?.location.find((one) => one.path.join() === path);
  const paragraphs = (location?.leadingComments ?? "").split(/\n\s*\n/);
  return paragraphs.map((text) => text.trim().replace(/\s*\n\s*/g, " ")).join("\n\n");
}

/** The first clause of a text, for a line in a list. */
export function summaryOf(text: string): string {
  return /^.*?(?=[.;:](?:\s|$)|$)/.exec(text)?.[0] ?? "";
}

/** Path of a declaration within its FileDescriptorProto: numbers of fields and indexes, as in google/protobuf/descriptor.proto. */
function sourcePath(desc: Documented): number[] {
  switch (desc.kind) {
    case "message":
      return desc.parent === undefined
        ? [4, desc.file.proto.messageType.indexOf(desc.proto)]
        : [...sourcePath(desc.parent), 3, desc.parent.proto.nestedType.indexOf(desc.proto)];
    case "enum":
      return desc.parent === undefined
        ? [5, desc.file.proto.enumType.indexOf(desc.proto)]
        : [...sourcePath(desc.parent), 4, desc.parent.proto.enumType.indexOf(desc.proto)];
    case "extension":
      return desc.parent === undefined
        ? [7, desc.file.proto.extension.indexOf(desc.proto)]
        : [...sourcePath(desc.parent), 6, desc.parent.proto.extension.indexOf(desc.proto)];
    case "service":
      return [6, desc.file.proto.service.indexOf(desc.proto)];
    case "field":
      return [...sourcePath(desc.parent), 2, desc.parent.proto.field.indexOf(desc.proto)];
    case "oneof":
      return [...sourcePath(desc.parent), 8, desc.parent.proto.oneofDecl.indexOf(desc.proto)];
    case "enum_value":
      return [...sourcePath(desc.parent), 2, desc.parent.proto.value.indexOf(desc.proto)];
    case "rpc":
      return [...sourcePath(desc.parent), 2, desc.parent.proto.method.indexOf(desc.proto)];
  }
}

/** oxlint rules of this project. */
const noPrivateKeyword = {
  create: (context) => {
    const check = (node) => {
      if (node.accessibility === "private" && node.kind !== "constructor") {
        context.report({ node, message: "Use a #private name instead of the private keyword." });
      }
    };
    return { MethodDefinition: check, PropertyDefinition: check };
  },
};

const plugin = { meta: { name: "project" }, rules: { "no-private-keyword": noPrivateKeyword } };

export default plugin;

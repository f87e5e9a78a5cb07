/** What `new Headers()` takes. @connectrpc/connect names this DOM type, which Node's own types leave out. */
type HeadersInit = NonNullable<ConstructorParameters<typeof Headers>[0]>;

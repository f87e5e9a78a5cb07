/**
 * A type of the DOM library that the declarations of @connectrpc/connect name. Node has the `Headers` class but
 * declares no such name, and the DOM library would bring a thousand others that do not exist here.
 */
type HeadersInit = ConstructorParameters<typeof Headers>[0];

import type { Service } from "../../server/service.ts";

/**
 * Text for standard output when the service has started. A new secret is shown only here. With TLS the commands to try are left
 * out, because they would need the certificate authority.
 */
export function banner(service: Service, scheme: "http" | "https"): string {
  const host = service.address.includes(":") ? `[${service.address}]` : service.address;
  const address = `${host}:${service.port}`;
  const head = `sessiond listens on ${scheme}://${address} (gRPC, gRPC-Web, Connect, REST)\n`;
  const { development } = service;
  if (development === undefined) return head;
  return head + credential(development) + (scheme === "http" ? commands(address, development) : "");
}

type Development = NonNullable<Service["development"]>;

function credential({ projectId, secret, file, isNew }: Development): string {
  const shown = isNew ? `${secret}\n            (shown only now; stored in ${file})` : `stored in ${file}`;
  return `\n  project   ${projectId}\n  secret    ${shown}\n`;
}

function commands(address: string, { projectId, file }: Development): string {
  return `
Try it, from this folder, in another terminal:

  S="$(cat ${file})"

  # list the services
  npx buf curl --http2-prior-knowledge --list-methods http://${address}
  grpcurl -plaintext ${address} list

  # create a session, over gRPC
  npx buf curl --protocol grpc --http2-prior-knowledge -u "${projectId}:$S" \\
    -d '{"member_id": "alice"}' http://${address}/session.v1.SessionService/Create

  # create one over REST and keep its token; then authenticate it, revoke it, and authenticate it again
  api() { curl -s -u "${projectId}:$S" -H 'content-type: application/json' "http://${address}/session/v1/$1" -d "$2"; echo; }
  T="$(api sessions '{"member_id": "alice"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')"
  api sessions:authenticate "{\\"token\\": \\"$T\\"}"
  api sessions:revoke "{\\"token\\": \\"$T\\"}"
  api sessions:authenticate "{\\"token\\": \\"$T\\"}"
`;
}

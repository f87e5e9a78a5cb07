import type { HttpAnswer } from "../../support/fixtures/http-answer.ts";
import { overHttp1, overHttp2 } from "../http/exchange.ts";

/** An origin of the general list, one of the list for cookies, and one of neither. */
export const app = "https://app.example.com";
export const login = "https://login.example.com";
export const foreign = "https://evil.example";

export const environment = {
  SESSIOND_ALLOWED_ORIGINS: ` ${app} , http://localhost:3000`,
  SESSIOND_KRATOS_ALLOWED_ORIGINS: `${login}\n`,
};

export const transports = [
  ["HTTP/1.1", overHttp1],
  ["HTTP/2", overHttp2],
] as const;

/** Headers that every page which may read an answer can see. */
export const exposed = [
  "grpc-message",
  "grpc-status",
  "grpc-status-details-bin",
  "retry-after",
  "sessiond-error-reason",
  "www-authenticate",
  "x-request-id",
];

/** Which pages may read an answer, by its headers. */
export function grantIn({ headers }: HttpAnswer) {
  const shown = listOf(headers["access-control-expose-headers"]);
  return {
    origin: headers["access-control-allow-origin"],
    credentials: headers["access-control-allow-credentials"],
    exposed: exposed.filter((name) => shown.includes(name)),
    variesByOrigin: listOf(headers["vary"]).includes("origin"),
  };
}

export function listOf(value: string | undefined): string[] {
  return value === undefined ? [] : value.toLowerCase().split(/, */);
}

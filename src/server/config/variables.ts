import { availableParallelism } from "node:os";
import { z } from "zod";
import { parseProjectId } from "../../domain/ids.ts";

// What single variables may hold, and what becomes of it. No value is repeated in what is said of it: it may be a secret.

/** A whole number within bounds; `unit`, where given, ends with a space. */
export const wholeNumber = (min: number, max: number, unit = "") => {
  const error = `must be a whole number ${unit}from ${min} to ${max}`;
  const isWithin = (value: number) => Number.isInteger(value) && value >= min && value <= max;
  return z.coerce.number({ error }).refine(isWithin, error);
};

/** More are a typing error. */
const maxWorkers = 256;

/** A time in milliseconds. */
export const milliseconds = (min: number, max: number) => wholeNumber(min, max, "of milliseconds ");

/** The shortest retention is longer than any session JWT lives, and than a revocation can matter to one. */
export const retentionDays = wholeNumber(0, 3650, "of days ");

/** Where a PostgreSQL is. */
export const databaseUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:\/\//.test(text), "must be postgres://user:password@host:port/database");

/** An address to listen on: a host without brackets, and a port. */
export const listen = z.string().transform((text, context) => {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    context.addIssue("must be host:port, such as 127.0.0.1:8080, [::1]:8080 or :8080 for every address");
    return z.NEVER;
  }
  return { host: host === "" ? "::" : host, port: Number(port) };
});

/** As other servers have it (nginx, Puma). 0 is refused: elsewhere it means one for each core, none, or this process alone. */
export const workers = z.string().transform((text, context) => {
  if (text === "auto") return Math.min(availableParallelism(), maxWorkers);
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= maxWorkers) return count;
  context.addIssue(`must be a whole number from 1 to ${maxWorkers}, or auto for one on each core`);
  return z.NEVER;
});

/** A master key: 32 bytes. */
export const masterKey = z.string().transform((text, context) => {
  const bytes = masterKeyBytes(text);
  if (bytes !== undefined) return bytes;
  context.addIssue("must be 32 bytes in base64; `openssl rand -base64 32` makes one");
  return z.NEVER;
});

/** Master keys, separated by commas. */
export const masterKeys = z.string().transform((text, context) => {
  const keys = text.split(",").map((key) => masterKeyBytes(key.trim()));
  if (keys.every((bytes) => bytes !== undefined)) return keys;
  context.addIssue("must be master keys, each 32 bytes in base64, separated by commas");
  return z.NEVER;
});

/** Buffer passes over what is not base64; a key with a typing error must not become another key. */
function masterKeyBytes(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text ? bytes : undefined;
}

/** A project to create, and the secret of its credential. */
export const bootstrapProject = z.string().transform((text, context) => {
  const separator = text.indexOf(":");
  const projectId = parseProjectId(text.slice(0, Math.max(0, separator)));
  const secret = text.slice(separator + 1);
  if (separator > 0 && projectId !== undefined && secret !== "") return { projectId, secret };
  context.addIssue("must be <project_id>:<secret>; an id has letters, digits, '.', '_' and '-'");
  return z.NEVER;
});

/** Origins of web pages, separated by commas. */
export const origins = z.string().transform((text, context) => {
  const list = text.split(",").map((origin) => origin.trim());
  const wrong = list.some((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin);
  if (!wrong) return list;
  context.addIssue("must be origins separated by commas, such as https://app.example.com");
  return z.NEVER;
});

/** What paths begin with. */
export const pathPrefix = z
  .string()
  .regex(/^(\/[A-Za-z0-9._~-]+)+$/, "must be a path such as /auth, without a slash at the end");

/** 0 is without limit; a fraction is for less than one a second. */
export const callsPerSecond = z.coerce
  .number({ error: "must be a number from 0 to 1000000" })
  .refine((value) => value >= 0 && value <= 1_000_000, "must be a number from 0 to 1000000");

/** How many calls at once. */
export const burst = wholeNumber(1, 10_000_000);

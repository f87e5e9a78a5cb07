import { sql } from "kysely";
import type { TokenReplacement } from "../../domain/store/session-store.ts";
import type { Db } from "../schema/tables.ts";

/** How many replaced tokens of a session are kept, to recognise them. */
const rememberedTokens = 1000;

/**
 * Replaces a token; false if it was replaced before. The row lock on the old token decides between concurrent rotations. Deletes
 * the session's oldest tokens beyond {@link rememberedTokens}. By tokens' primary key and session_tokens_replaced.
 */
export async function replaceToken(
  db: Db,
  { projectId, hash, salt, successor, time }: TokenReplacement,
): Promise<boolean> {
  const { rows } = await sql`
    with replaced as (
      update session_tokens set replace_time = ${time}, successor_salt = ${salt}
      where project_id = ${projectId} and hash = ${hash} and replace_time is null
      returning session_id
    ), successor as (
      insert into session_tokens (project_id, hash, session_id, create_time)
      select ${projectId}, ${successor}::bytea, session_id, ${time}::timestamptz from replaced
    ), forgotten as (
      delete from session_tokens
      where project_id = ${projectId} and session_id = (select session_id from replaced) and replace_time < (
        select replace_time from session_tokens
        where project_id = ${projectId} and session_id = (select session_id from replaced) and replace_time is not null
        order by replace_time desc offset ${sql.lit(rememberedTokens - 2)} limit 1)
    )
    select session_id from replaced`.execute(db);
  return rows.length > 0;
}

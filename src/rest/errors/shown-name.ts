/**
 * A name from the request, such as an unknown member's, as an error may show it. One that no API would have is not shown:
 * unprintable, or as long as a token that was put in the wrong place.
 */
export function shownName(name: string): string {
  return name.split(".").every((part) => /^[\x21-\x7e]{1,40}$/.test(part)) && name.length <= 128
    ? name
    : "(a name not fit to be shown)";
}

"""A catalogue of authors' mistakes, and a valid spec that has a place for each.

A spec here is a list of lines; a place is a line with a name. A mistake replaces its line, or adds one below it, and
says which code must be found there. Mistakes at different places do not meet, with one exception that is the reader's
rule: a reference to a file is judged only while every file is known, so a mistake that hides a file (`hides_files`)
is never planted together with a wrong reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

KEY = "arn:aws:kms:eu-west-1:111122223333:key/8a2c6f04-1d3b-4e57-9a60-7b1c2d3e4f50"

#: (place, text). A place is unique; "" has no mistake of its own.
VALID: tuple[tuple[str, str], ...] = (
    ("version", "version: 1"),
    ("app", "app: payments"),
    ("namespace", "namespace: payments"),
    ("account", "serviceAccount: payments-api"),
    ("identity", "identity: irsa"),
    ("mount", "mountPath: /mnt/secrets"),
    ("", "mounts:"),
    ("mounts", "  tls: /etc/tls"),
    ("refresh", "refreshInterval: 5m"),
    ("owner", "owner: payments-team"),
    ("", "secrets:"),
    ("secret", "  - name: ${environment}/payments/db"),
    ("file", "    file: db.json"),
    ("mode", '    mode: "0400"'),
    ("key", f"    kmsKey: {KEY}"),
    ("", "    keys:"),
    ("path", "      username: db-user"),
    ("full", '      "connection.port": {file: db-port, mode: "0440"}'),
    ("", "  - name: ${environment}/payments/tokens"),
    ("", "    file: tokens.json"),
    ("second", "  - name: ${environment}/payments/tls"),
    ("second-file", "    file: tls/cert.pem"),
    ("", "  - name: ${environment}/payments/ca"),
    ("in-mount", "    mount: tls"),
    ("", "parameters:"),
    ("parameter", "  - name: /${environment}/payments/flags"),
    ("parameter-file", "    file: flags.json"),
    ("selector", "    version: 3"),
    ("", "sync:"),
    ("synced", "  - secret: payments-env"),
    ("", "    data:"),
    ("reference", "      DB_USER: db-user"),
    ("", "environments:"),
    ("", "  prod:"),
    ("overlay", "    mountPath: /mnt/prod"),
    ("", "  dev:"),
    ("", "    parameters:"),
    ("overlay-parameter", "      - name: /dev/payments/extra"),
)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One mistake: at `place`, the line becomes `text` (or `text` is added below it), and `code` is found there."""

    place: str
    text: str
    code: str
    added: bool = False
    hides_files: bool = False
    is_reference: bool = False


CATALOGUE: tuple[Mistake, ...] = (
    Mistake(place="app", text="app: Payments", code="SPEC006"),
    Mistake(place="app", text="app: 12", code="SPEC004"),
    Mistake(place="namespace", text="namespace: pay_ments", code="SPEC006"),
    Mistake(place="namespace", text="namespace: on", code="SPEC004"),
    Mistake(place="namespace", text="namespace: other", code="SPEC002", added=True),
    Mistake(place="account", text="service-account: x", code="SPEC003"),
    Mistake(place="account", text="serviceAccount: ${stage}", code="SPEC008"),
    Mistake(place="identity", text="identity: IRSA", code="SPEC006"),
    Mistake(place="identity", text="identity: [irsa]", code="SPEC004"),
    Mistake(place="mount", text="mountPath: ../secrets", code="SPEC006"),
    Mistake(place="mount", text="frobnicate: 1", code="SPEC003", added=True),
    Mistake(place="mounts", text="  tls: mnt", code="SPEC006"),
    Mistake(place="mounts", text="  extra: /etc/extra", code="SPEC028", added=True),
    Mistake(place="refresh", text="refreshInterval: 5s", code="SPEC006"),
    Mistake(place="refresh", text="refreshInterval: 90", code="SPEC006"),
    Mistake(place="owner", text="owner: a*b", code="SPEC006"),
    Mistake(place="in-mount", text="    owner: [x]", code="SPEC004", added=True),
    Mistake(place="secret", text="  - name: prod/*", code="SPEC009"),
    Mistake(place="secret", text="  - name: prod db", code="SPEC010"),
    Mistake(place="secret", text="  - name: ${env}/payments/db", code="SPEC008"),
    Mistake(place="secret", text="  - name: arn:aws:s3:::bucket", code="SPEC011"),
    Mistake(place="secret", text="  - name: 12", code="SPEC004"),
    Mistake(place="file", text="    file: ../db.json", code="SPEC014", hides_files=True),
    Mistake(place="file", text="    file: true", code="SPEC004", hides_files=True),
    Mistake(place="mode", text="    mode: 0400", code="SPEC007"),
    Mistake(place="mode", text='    mode: "rw-r--r--"', code="SPEC007"),
    Mistake(place="mode", text='    mode: "0440"', code="SPEC002", added=True),
    Mistake(place="key", text="    kmsKey: alias/payments", code="SPEC011"),
    Mistake(place="key", text="    kmsKye: x", code="SPEC003", added=True),
    Mistake(place="path", text="      user-name: db-user", code="SPEC018"),
    Mistake(place="path", text="      user..name: db-user", code="SPEC018"),
    Mistake(place="full", text='      "connection.port": {file: db-port, mod: "0440"}', code="SPEC003"),
    Mistake(place="full", text='      "connection.port": {mode: "0440"}', code="SPEC005", hides_files=True),
    Mistake(place="second", text="  - name: prod/?", code="SPEC009"),
    Mistake(place="second-file", text="    file: tokens.json", code="SPEC013"),
    Mistake(place="second-file", text="    file: tokens.json/cert.pem", code="SPEC013"),
    Mistake(place="parameter", text="  - name: /prod//flags", code="SPEC010"),
    Mistake(place="parameter", text="  - name: /prod/flags:3", code="SPEC010"),
    Mistake(place="parameter-file", text="    file: 3", code="SPEC004", hides_files=True),
    Mistake(place="selector", text="    version: latest", code="SPEC006"),
    Mistake(place="selector", text="    label: blue", code="SPEC012", added=True),
    Mistake(place="synced", text="  - secret: Payments_Env", code="SPEC006"),
    Mistake(place="reference", text="      DB_USER: db-usr", code="SPEC015", is_reference=True),
    Mistake(place="reference", text='      "DB USER": db-user', code="SPEC006"),
    Mistake(place="overlay", text="    mountPath: mnt", code="SPEC006"),
    Mistake(place="overlay", text="    app: other", code="SPEC003", added=True),
    Mistake(place="overlay-parameter", text="      - name: /dev/*", code="SPEC009"),
    Mistake(place="overlay-parameter", text="        mode: 0644", code="SPEC007", added=True),
)


def plant(mistakes: Sequence[Mistake]) -> tuple[str, list[tuple[int, str]]]:
    """Return the text with the mistakes in it, and (line, code) of each in file order."""
    by_place = {mistake.place: mistake for mistake in mistakes}
    lines: list[str] = []
    expected: list[tuple[int, str]] = []
    for place, text in VALID:
        mistake = by_place.get(place) if place else None
        if mistake is None:
            lines.append(text)
            continue
        lines += [text, mistake.text] if mistake.added else [mistake.text]
        expected.append((len(lines), mistake.code))
    return "\n".join(lines) + "\n", expected

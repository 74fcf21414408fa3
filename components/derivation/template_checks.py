"""The rules of a template: its text can be read, and every file that it quotes is a file of its mount.

The text's own syntax is the provider's (provider_runtime.file_templates): `${file}`, and `$${` for a plain `${`. The
spec's variables are not replaced in it.
"""

from __future__ import annotations

import difflib

from provider_runtime.file_templates import TemplateError, parse_template, referenced_files

from .errors import ProblemList
from .object_checks import FileSet
from .spec import TemplateEntry


def check_template(template: TemplateEntry, files: FileSet, problems: ProblemList) -> None:
    """Check one template against the files of its mount, all of which are in `files`."""
    rule = "${file} quotes a file of the same mount that is no template; $${ stands for a plain ${"
    try:
        quoted = referenced_files(parse_template(template.text))
    except TemplateError as error:
        problems.add(template.at, "SPEC033", f"the template cannot be read: {error}", rule, "correct the text")
        return
    for name in quoted:
        if name in files.templates:
            what = f"the template quotes {name!r}, which is a template"
            problems.add(template.at, "SPEC033", what, rule, "quote the files that it is made of")
        elif name not in files and files.complete:
            names = [file for file in files.names() if file not in files.templates]
            close = difflib.get_close_matches(name, names, n=1)
            fix = f"did you mean {close[0]!r}?" if close else f"quote one of: {', '.join(names)}"
            problems.add(template.at, "SPEC033", f"no object of the mount is the file {name!r}", rule, fix)

"""Every limit on what a class may ask for, as data: for the documentation and for the test that holds each of them.

The numbers stand in the modules that enforce them; each refusal says its limit in the error's text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provider_runtime import (
    class_parameters,
    file_paths,
    file_templates,
    jmespath_dialect,
    json_documents,
    json_rendering,
    object_collisions,
    object_document,
    object_drafts,
    payload,
    template_files,
)
from provider_runtime.errors import ErrorCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit.

    Args:
        subject: What is counted.
        amount: Highest amount that is taken (lowest, where the unit says so).
        unit: Of the amount.
        code: Of the error beyond it.
    """

    subject: str
    amount: float
    unit: str
    code: ErrorCode


LIMITS: Final = (
    Limit(
        subject="the objects document",
        amount=object_document.DOCUMENT_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.DOCUMENT_TOO_LARGE,
    ),
    Limit(
        subject="YAML nodes of the document",
        amount=object_document.NODE_LIMIT,
        unit="nodes",
        code=ErrorCode.DOCUMENT_TOO_LARGE,
    ),
    Limit(
        subject="nesting of the document",
        amount=object_document.DEPTH_LIMIT,
        unit="levels",
        code=ErrorCode.DOCUMENT_INVALID,
    ),
    Limit(
        subject="objects of a class",
        amount=object_drafts.OBJECT_LIMIT,
        unit="objects",
        code=ErrorCode.DOCUMENT_TOO_LARGE,
    ),
    Limit(
        subject="files that a class names",
        amount=object_collisions.FILE_LIMIT,
        unit="files",
        code=ErrorCode.DOCUMENT_TOO_LARGE,
    ),
    Limit(
        subject="files of a mount, those of keys included",
        amount=object_collisions.FILE_LIMIT,
        unit="files",
        code=ErrorCode.VALUE_TOO_LARGE,
    ),
    Limit(
        subject="an element of a file name",
        amount=file_paths.ELEMENT_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.PATH_TOO_LONG,
    ),
    Limit(subject="a file name", amount=file_paths.PATH_LIMIT_BYTES, unit="bytes", code=ErrorCode.PATH_TOO_LONG),
    Limit(
        subject="a JMESPath expression",
        amount=jmespath_dialect.EXPRESSION_LIMIT,
        unit="characters",
        code=ErrorCode.JMES_BUDGET,
    ),
    Limit(
        subject="nesting of an expression",
        amount=jmespath_dialect.DEPTH_LIMIT,
        unit="levels",
        code=ErrorCode.JMES_BUDGET,
    ),
    Limit(
        subject="the evaluation of one expression",
        amount=jmespath_dialect.EXPRESSION_STEP_LIMIT,
        unit="steps",
        code=ErrorCode.JMES_BUDGET,
    ),
    Limit(
        subject="all expressions of a mount",
        amount=payload.MOUNT_STEP_LIMIT,
        unit="steps",
        code=ErrorCode.JMES_BUDGET,
    ),
    Limit(
        subject="nesting of a JSON result that is rendered by jmesPath",
        amount=json_rendering.DEPTH_LIMIT,
        unit="levels",
        code=ErrorCode.JMES_RESULT_NOT_TEXT,
    ),
    Limit(
        subject="nesting of a JSON value that is rendered by keys",
        amount=json_rendering.DEPTH_LIMIT,
        unit="levels",
        code=ErrorCode.KEY_NOT_TEXT,
    ),
    Limit(
        subject="a value that is decoded or cut up",
        amount=json_documents.VALUE_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.VALUE_TOO_LARGE,
    ),
    Limit(
        subject="keys of one value",
        amount=json_documents.KEY_LIMIT,
        unit="keys",
        code=ErrorCode.VALUE_TOO_LARGE,
    ),
    Limit(
        subject="all files of a mount together",
        amount=payload.CONTENTS_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.VALUE_TOO_LARGE,
    ),
    Limit(
        subject="references of a template",
        amount=file_templates.REFERENCE_LIMIT,
        unit="references",
        code=ErrorCode.TEMPLATE_INVALID,
    ),
    Limit(
        subject="a rendered template",
        amount=file_templates.RESULT_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.TEMPLATE_VALUE,
    ),
    Limit(
        subject="all rendered templates of a mount",
        amount=template_files.TEMPLATES_LIMIT_BYTES,
        unit="bytes",
        code=ErrorCode.TEMPLATE_VALUE,
    ),
    Limit(
        subject="failover regions",
        amount=class_parameters.FAILOVER_REGION_LIMIT,
        unit="regions",
        code=ErrorCode.FAILOVER_REGION_INVALID,
    ),
    Limit(
        subject="the external id",
        amount=class_parameters.EXTERNAL_ID_LONGEST,
        unit="characters",
        code=ErrorCode.EXTERNAL_ID_INVALID,
    ),
    Limit(
        subject="the refresh interval, at least",
        amount=class_parameters.REFRESH_FLOOR_SECONDS,
        unit="seconds, lowest",
        code=ErrorCode.REFRESH_INTERVAL_INVALID,
    ),
    Limit(
        subject="the refresh interval, at most",
        amount=class_parameters.REFRESH_CEILING_SECONDS,
        unit="seconds",
        code=ErrorCode.REFRESH_INTERVAL_INVALID,
    ),
)

"""What every answer carries, and what an error looks like (RFC 9457)."""

from typing import Any
from uuid import UUID

from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

PROBLEM_MEDIA_TYPE = "application/problem+json"


class Answer(BaseModel):
    """The four common return parameters.

    `result_code` is 0 where the request was done or taken on; in an error it is the HTTP status.
    """

    result_code: int = Field(default=0, description="0 is good; an error repeats its HTTP status.")
    result_msg: str = Field(default="OK", description="One short phrase for people and logs.")
    err_detail: str | None = Field(default=None, description="What went wrong, in one sentence.")
    id: UUID | None = Field(default=None, description="The record that this answer is about.")


class ProviderMessage(BaseModel):
    """What the provider itself said."""

    code: str | None = Field(default=None, examples=["ACQ.TRADE_HAS_SUCCESS"])
    message: str | None = Field(default=None, examples=["交易已被支付"])


class Problem(Answer):
    """An error. Act on `code`; read `detail`; send again, unchanged, only if `retryable`."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "result_code": 422,
                "result_msg": "Invalid request",
                "err_detail": "amount: Input should be greater than 0",
                "id": None,
                "type": "urn:paysaga:problem:invalid_request",
                "title": "Invalid request",
                "status": 422,
                "detail": "amount: Input should be greater than 0",
                "code": "invalid_request",
                "param": "amount",
                "retryable": False,
                "provider": None,
            }
        }
    )

    type: str = Field(description="A URI that names the kind of problem.")
    title: str
    status: int = Field(description="The HTTP status, repeated.")
    detail: str
    code: str = Field(description="Stable and machine-readable.")
    param: str | None = Field(default=None, description="The field or header to mend.")
    retryable: bool = Field(default=False, description="The same request may succeed later.")
    provider: ProviderMessage | None = None


class ApiProblem(Exception):  # noqa: N818 - it is an answer before it is an error
    """An answer that is an error; raised anywhere in the API, rendered in one place."""

    def __init__(  # noqa: PLR0913 - each is one member of the answer
        self,
        status: int,
        code: str,
        detail: str,
        *,
        param: str | None = None,
        retryable: bool = False,
        record_id: UUID | None = None,
        provider: ProviderMessage | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.param = param
        self.retryable = retryable
        self.record_id = record_id
        self.provider = provider
        self.headers = headers

    def problem(self) -> dict[str, Any]:
        """The body, JSON-ready."""
        title = self.code.replace("_", " ").capitalize()
        return Problem(
            result_code=self.status,
            result_msg=title,
            err_detail=self.detail,
            id=self.record_id,
            type=f"urn:paysaga:problem:{self.code}",
            title=title,
            status=self.status,
            detail=self.detail,
            code=self.code,
            param=self.param,
            retryable=self.retryable,
            provider=self.provider,
        ).model_dump(mode="json")

    def response(self) -> JSONResponse:
        """The whole answer."""
        return JSONResponse(
            self.problem(),
            status_code=self.status,
            headers=self.headers,
            media_type=PROBLEM_MEDIA_TYPE,
        )

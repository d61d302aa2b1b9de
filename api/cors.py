"""Which pages of other origins may call the service: Starlette's answers, with refusals in this service's shape."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from api.errors import error_response


class CorsMiddleware(CORSMiddleware):
    """Starlette's CORS, but a refused preflight has a body of `{"error": "..."}` like every other error."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answers the question that a browser asks before a request to another origin."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return error_response(answer.status_code, bytes(answer.body).decode(), headers=headers)

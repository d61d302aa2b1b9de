"""`GET /metrics`: figures for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies import MetricsDependency

router = APIRouter(tags=["service"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(found: MetricsDependency) -> Response:
    """Shows requests by route and status, their times, what waits, how full batches are, and what was translated."""
    return Response(found.page(), media_type=CONTENT_TYPE_LATEST)

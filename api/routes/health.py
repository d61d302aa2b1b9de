"""`GET /health` and `/ready`, for orchestrators. The port opens when the model is loaded: an answer means ready."""

from fastapi import APIRouter

from api.dependencies import BatcherDependency
from api.errors import BusyError
from api.schemas import Health, error_answers

router = APIRouter(tags=["service"])


@router.get("/health", responses=error_answers(503))
@router.get("/ready", responses=error_answers(503))
async def health(batcher: BatcherDependency) -> Health:
    """Answers `ok` while translations are served, 503 otherwise."""
    if not batcher.running:
        raise BusyError("The server is not translating; it is stopping or must be restarted", retry_after_seconds=1)
    return Health(status="ok")

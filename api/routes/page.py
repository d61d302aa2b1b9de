"""The pages for people: `/` translates, `/docs` shows the OpenAPI description. Plain files, no build step.

Both load from this server alone; the Content-Security-Policy lets a browser ask no other host.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parent.parent / "page"
MEDIA_TYPES = {
    "style.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "words.js": "text/javascript; charset=utf-8",
    "map.js": "text/javascript; charset=utf-8",
    "history.js": "text/javascript; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # revalidated by ETag, so that an upgrade shows at once
}


@router.get("/")
async def index() -> FileResponse:
    """Serves the page where a person can translate."""
    return FileResponse(FOLDER / "index.html", headers=HEADERS)


@router.get("/docs")
async def docs() -> FileResponse:
    """Serves the reader of /openapi.json; our own, because the usual one loads scripts from another host."""
    return FileResponse(FOLDER / "docs.html", headers=HEADERS)


@router.get("/page/{name}")
async def asset(name: str) -> FileResponse:
    """Serves the style sheet, the scripts and the icon."""
    if name not in MEDIA_TYPES:
        raise HTTPException(404)
    return FileResponse(FOLDER / name, headers=HEADERS, media_type=MEDIA_TYPES[name])

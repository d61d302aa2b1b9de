"""The routes, one router a noun."""

from fastapi import APIRouter

from api.routes import health, languages, page, translate

router = APIRouter()
for noun in (translate, languages, health, page):
    router.include_router(noun.router)

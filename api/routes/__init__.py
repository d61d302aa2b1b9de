"""The routes, one router a noun."""

from fastapi import APIRouter

from api.routes import deepl, detect, frontend, health, languages, metrics, page, translate

router = APIRouter()
for noun in (translate, detect, languages, frontend, deepl, health, metrics, page):
    router.include_router(noun.router)

"""The routes, one router a noun."""

from fastapi import APIRouter

from api.routes import detect, frontend, health, languages, page, translate

router = APIRouter()
for noun in (translate, detect, languages, frontend, health, page):
    router.include_router(noun.router)

"""The routes, one router a noun."""

from api.routes import deepl, detect, frontend, health, languages, metrics, page, translate

ROUTERS = [noun.router for noun in (translate, detect, languages, frontend, deepl, health, metrics, page)]

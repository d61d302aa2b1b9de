"""The HTTP service: `api.app.create_app(settings)` answers LibreTranslate's requests with a Carousel model.

It knows the translator's facade and nothing of training.
"""

ARG BASE_IMAGE=python:3.11-slim

# The builder makes one virtual environment with what serving needs; nothing else of it reaches the image.
FROM ${BASE_IMAGE} AS builder
# pip's own settings may come in as build arguments, to choose the CPU build of torch for instance.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
RUN python -m venv /opt/carousel
# For translator/kernels.c. Where it is not to be had the image is made without them, with PyTorch, and translates at half
# the speed.
RUN command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; } \
 || echo 'There is no C compiler: translator/kernels.c is left out.'

# PyTorch is most of an image, and on x86-64 nothing that serving runs needs it: the kernels do. "yes" puts it in all the
# same, for processors without AVX2; where there are no kernels at all (ARM) it is in unless "no" keeps it out.
ARG PYTORCH=auto
# The requirements first: this layer is built again only when they change, not when the code does.
COPY pyproject.toml constraints.txt ./
RUN if [ "$PYTORCH" = auto ]; then [ "$(uname -m)" = x86_64 ] && command -v cc >/dev/null && PYTORCH=no || PYTORCH=yes; fi \
 && /opt/carousel/bin/python -c 'import sys, tomllib; \
project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
extras = project["optional-dependencies"]; \
wanted = project["dependencies"] + extras["serve"] + extras["redis"] + extras["postgresql"]; \
print(*(each for each in wanted if sys.argv[1] == "yes" or not each.startswith("torch")), sep="\n")' "$PYTORCH" > requirements.txt \
 && /opt/carousel/bin/pip install --no-compile -c constraints.txt -r requirements.txt setuptools
COPY README.md LICENSE ./
COPY carousel carousel
COPY translator translator
COPY api api
# training/kernels.c is named in pyproject.toml; what is made of an empty one is taken out below.
RUN mkdir training && touch training/kernels.c && /opt/carousel/bin/pip install --no-compile --no-deps --no-build-isolation . \
 && rm -rf build training

# Only what runs: no headers, no test programs, no pip. The kernels' threads are OpenMP's, whose library lies beside them
# unless PyTorch brings it. Then the service is imported, a language told, and one sentence translated: that proves that
# all is there, and leaves bytecode for what serving uses, so that a read-only container starts quickly.
RUN site=$(/opt/carousel/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
 && rm -rf "$site"/torch/include "$site"/torch/test "$site"/torch/share "$site"/training \
 && if [ -d "$site"/torch ]; then find "$site"/torch/bin -type f ! -name torch_shm_manager -delete; \
    elif command -v cc >/dev/null; then cp "$(cc -print-file-name=libgomp.so.1)" "$site"/translator/; fi \
 && find "$site" -name tests -type d -not -path '*/torch/*' -prune -exec rm -rf {} + \
 && /opt/carousel/bin/pip uninstall --quiet --yes pip setuptools \
 && find /opt/carousel -name __pycache__ -type d -prune -exec rm -rf {} + \
 && cd /tmp \
 && /opt/carousel/bin/python -c 'import api.app, api.server; api.app.create_app()' \
 && /opt/carousel/bin/python -c 'from api.detection import *; print(LanguageDetector(["en", "de"]).rank("Hello"))' \
 && /opt/carousel/bin/python -c 'from translator.kernels import available; print("kernels:", available())' \
 && echo 'Where is the train station?' | /opt/carousel/bin/carousel translate --from en --to de

FROM ${BASE_IMAGE}
COPY --from=builder /opt/carousel /opt/carousel
ENV PATH=/opt/carousel/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    CAROUSEL_HOST=0.0.0.0 \
    CAROUSEL_PORT=8000 \
    CAROUSEL_SHUTDOWN_SECONDS=8
# docker stop kills after 10 seconds: by then what is in flight is answered or cancelled.
# A number, so that an orchestrator can see that it is not root; nothing is written outside /tmp.
# A volume at /var/lib/carousel, where keys may be kept, belongs to it too.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin carousel \
 && install -d -o 10001 -g 10001 /var/lib/carousel
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"CAROUSEL_PORT\"]}/health', timeout=4)"]
CMD ["carousel", "serve"]

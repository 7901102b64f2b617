# Image of Firstwords, for CPUs or for NVIDIA GPUs (docs/how-to/containers.md):
#
#   docker build -t firstwords:cpu .
#   docker build -t firstwords:gpu --build-arg GPU=1 .
#
# firstwords.def is the same for Apptainer; tests/scripts/test_containers.py keeps the two in step.
FROM python:3.13.14-slim-trixie

LABEL org.opencontainers.image.title="Firstwords"
LABEL org.opencontainers.image.licenses="MIT"

# torch.compile needs a C++ compiler and Python's headers. The base image has the headers; those of
# Debian's python3-dev belong to another Python.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && test -f /usr/local/include/python3.*/Python.h

# 1000 is the id of the first user on most machines, who can then mount a directory of their own.
RUN useradd --uid 1000 --home-dir /data --no-create-home firstwords \
    && install -d -o firstwords -g firstwords /data

WORKDIR /opt/firstwords

# Only what setup.sh reads, plus the one source file that an editable installation needs. A change
# of other source files thus does not rebuild the layer that contains torch.
COPY pyproject.toml requirements.lock requirements-test.lock ./
COPY scripts/setup.sh scripts/wheel_documents.py scripts/
COPY src/firstwords/__init__.py src/firstwords/

# setup.sh chooses the build of torch by whether there is a GPU; a build has none, so GPU=1 chooses.
# pip needs a PACKAGE.md; an empty one never changes. Bytecode is compiled now, because users cannot
# write it later. (podman ignores SHELL; hence the explicit bash.)
ARG GPU=0
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 bash -euc ' \
    umask 022; \
    touch PACKAGE.md; \
    . scripts/setup.sh; \
    uses_default_torch() { [ "$GPU" = 1 ]; }; \
    set_up run'

# Files that only their owner can read in the checkout must be readable by every user of the image.
COPY LICENSE ./
COPY src src
RUN chmod a+rx . \
    && chmod -R a+rX src \
    && .venv/bin/python -m compileall -q src \
    && .venv/bin/firstwords --version

# HOME is set for users of `docker run --user`, who have no entry in /etc/passwd.
ENV PATH=/opt/firstwords/.venv/bin:$PATH \
    FIRSTWORDS_HOME=/data \
    HOME=/data
VOLUME /data
USER firstwords
# Training writes a copy of the report to the current directory.
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["firstwords"]
CMD ["--help"]

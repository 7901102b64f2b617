# Firstwords in a container, for a processor or for NVIDIA's GPUs (docs/how-to/containers.md):
#
#   docker build -t firstwords:cpu .
#   docker build -t firstwords:gpu --build-arg GPU=1 .
#
# firstwords.def does the same for Apptainer; tests/scripts/test_containers.py holds the two together.
FROM python:3.13.14-slim-trixie

LABEL org.opencontainers.image.title="Firstwords"
LABEL org.opencontainers.image.licenses="MIT"

# torch.compile writes C++. The headers that it compiles against came with this Python: Debian's
# python3-dev would be those of another one.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && test -f /usr/local/include/python3.*/Python.h

# The number is that of the first user on most machines, so a directory of theirs can be mounted.
RUN useradd --uid 1000 --home-dir /data --no-create-home firstwords \
    && install -d -o firstwords -g firstwords /data

WORKDIR /opt/firstwords

# What setup.sh reads, and of the source only the file that tells pip where the package will lie:
# it is installed as editable, so a change of the source leaves this layer, with torch in it, alone.
COPY pyproject.toml requirements.lock requirements-test.lock ./
COPY scripts/setup.sh scripts/
COPY src/firstwords/__init__.py src/firstwords/

# setup.sh looks for a GPU to choose torch's build by. While an image is made there is none, so here
# the argument decides. What serves and exports is pinned in the tests' lock. The README is pip's
# alone, and an empty one does not change. Nobody can write bytecode here later, so uv makes it now.
# (SHELL would be ignored by podman; so bash is called by its name.)
ARG GPU=0
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 bash -euc ' \
    umask 022; \
    touch README.md; \
    . scripts/setup.sh; \
    takes_plain_torch() { [ "$GPU" = 1 ]; }; \
    set_up run; \
    pip_install -c requirements-test.lock --no-build-isolation -e ".[serve,export]"; \
    rm -f "$LOG"'

# A checkout may be readable by its owner alone; the image must not be.
COPY LICENSE ./
COPY src src
RUN chmod a+rx . \
    && chmod -R a+rX src \
    && .venv/bin/python -m compileall -q src \
    && .venv/bin/firstwords --version

# HOME: also for a user whom `docker run --user` makes up.
ENV PATH=/opt/firstwords/.venv/bin:$PATH \
    FIRSTWORDS_HOME=/data \
    HOME=/data
VOLUME /data
USER firstwords
# The copy of the report lands in the current directory.
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["firstwords"]
CMD ["--help"]

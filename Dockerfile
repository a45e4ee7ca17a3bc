# A server of one checkpoint: docker build -t recsys-zoo . (docs/serving.md says how to run it)
FROM python:3.12-slim

# The CPU build of PyTorch saves gigabytes. RecBole comes without its requirements, as in the Makefile.
WORKDIR /app
COPY constraints.txt ./
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "$(grep -E '^torch==' constraints.txt)"
COPY pyproject.toml README.md LICENSE ./
COPY zoo_configs zoo_configs
COPY checkpoints checkpoints
COPY benchmarks/leaderboard.csv benchmarks/
COPY recsys recsys
RUN pip install --no-cache-dir -c constraints.txt '.[serve]' \
    && pip install --no-cache-dir -c constraints.txt --no-deps recbole

RUN useradd --create-home server
USER server
ENV NUMBA_CACHE_DIR=/tmp/numba
EXPOSE 8000
HEALTHCHECK --start-period=60s --interval=15s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=5)"]
ENTRYPOINT ["recsys", "serve", "--host", "0.0.0.0"]
CMD ["/checkpoint"]

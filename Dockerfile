# stylegen on a GPU machine.
#   docker build -t stylegen . && mkdir -p data runs
#   docker run --gpus all --ipc=host --user "$(id -u)" -v "$PWD/data:/data" -v "$PWD/runs:/runs" stylegen data.path=/data/ffhq.zip
FROM python:3.12.11-slim-bookworm

# torch.compile needs a compiler at run time; stylegen has nothing to compile.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ git \
    && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 stylegen \
    && mkdir -p /data /runs /cache \
    && chown stylegen /data /runs /cache && chmod 777 /runs /cache

WORKDIR /opt/stylegen
# Requirements first: they change rarely, and this layer takes gigabytes. PyTorch's wheels contain CUDA.
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY stylegen/__init__.py stylegen/__init__.py
COPY conf conf
RUN pip install --no-cache-dir --constraint constraints.txt ".[demo]"
COPY . .
RUN pip install --no-cache-dir --no-deps --force-reinstall .

ENV STYLEGEN_CACHE=/cache TORCH_HOME=/cache/torch
VOLUME ["/data", "/runs", "/cache"]
USER stylegen
# Runs are numbered below /runs.
WORKDIR /
ENTRYPOINT ["python", "/opt/stylegen/train.py"]

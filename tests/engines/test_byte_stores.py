"""LangChain's byte stores: Redis on a real server, and files."""

from __future__ import annotations

import pytest
from engines import free_ports, output, program, running

from langchain_mistral_imagegen import ByteStoreImageStore
from langchain_mistral_imagegen.testing import ImageStoreTests


@pytest.fixture(scope="module")
def redis_url():
    server = program("Redis", "redis-server", "apt-get install redis-server")
    (port,) = free_ports(1)
    version = output(server, "--version").split("v=")[1].split()[0]
    with running("Redis", version, [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""], port):
        yield f"redis://127.0.0.1:{port}"


class TestRedis(ImageStoreTests):
    one_writer_wins = False

    @pytest.fixture
    def store(self, redis_url):
        storage = pytest.importorskip("langchain_community.storage")
        import redis

        client = redis.from_url(redis_url)
        client.flushall()
        yield ByteStoreImageStore(storage.RedisStore(client=client, namespace="images"))
        client.close()

    @pytest.fixture
    def broken_stores(self):
        storage = pytest.importorskip("langchain_community.storage")
        (port,) = free_ports(1)
        return {"no server": ByteStoreImageStore(storage.RedisStore(redis_url=f"redis://127.0.0.1:{port}"))}


class TestLocalFileStore(ImageStoreTests):
    one_writer_wins = False
    takes_odd_keys = False

    @pytest.fixture
    def store(self, tmp_path):
        storage = pytest.importorskip("langchain_classic.storage")
        return ByteStoreImageStore(storage.LocalFileStore(tmp_path))

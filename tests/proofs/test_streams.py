import gc
import io
import random
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proofs.chunked import Decryptor, Encryptor, Opened, open_sealed, seal, whole
from proofs.failures import Tampered
from proofs.streams import READ_BYTES, DecryptingReader, EncryptingWriter, RangeReader

KEY = bytes(range(32))
CONTEXT = b"archive"
MESSAGE = random.Random(7).randbytes(100_000)


def range_reader(plaintext: bytes) -> RangeReader:
    blob = seal(KEY, plaintext, CONTEXT)
    return RangeReader(Opened(KEY, CONTEXT, whole(blob), len(blob)))


class TestWriting:
    def test_what_was_written_opens(self) -> None:
        sink = io.BytesIO()

        with EncryptingWriter(sink, Encryptor(KEY, CONTEXT)) as writer:
            assert writer.write(MESSAGE[:5]) == 5
            writer.flush()
            writer.write(MESSAGE[5:])

        assert open_sealed(KEY, sink.getvalue(), CONTEXT) == MESSAGE

    def test_an_exception_leaves_a_ciphertext_that_does_not_open(self) -> None:
        sink = io.BytesIO()

        def interrupted() -> None:
            with EncryptingWriter(sink, Encryptor(KEY, CONTEXT)) as writer:
                writer.write(MESSAGE)
                raise KeyError

        with pytest.raises(KeyError):
            interrupted()
        with pytest.raises(Tampered):
            open_sealed(KEY, sink.getvalue(), CONTEXT)

    def test_a_forgotten_writer_does_not_end_the_message(self) -> None:
        sink = io.BytesIO()
        writer = EncryptingWriter(sink, Encryptor(KEY, CONTEXT))
        writer.write(MESSAGE)
        del writer
        gc.collect()

        with pytest.raises(Tampered):
            open_sealed(KEY, sink.getvalue(), CONTEXT)


class TestReading:
    @given(lengths=st.lists(st.integers(1, 60_000), min_size=1, max_size=8))
    @settings(deadline=None, max_examples=40)
    def test_any_reads_give_the_message_in_order(self, lengths: list[int]) -> None:
        source = io.BytesIO(seal(KEY, MESSAGE, CONTEXT))
        reader = io.BufferedReader(DecryptingReader(source.read, Decryptor(KEY, CONTEXT)))

        parts = [reader.read(length) for length in lengths]

        assert b"".join(parts) + reader.read() == MESSAGE
        assert reader.read(1) == b""

    def test_a_message_larger_than_one_read_comes_whole(self) -> None:
        plaintext = bytes(3 * READ_BYTES)
        source = io.BytesIO(seal(KEY, plaintext, CONTEXT))

        assert DecryptingReader(source.read, Decryptor(KEY, CONTEXT)).readall() == plaintext

    def test_a_cut_message_does_not_reach_its_end(self) -> None:
        source = io.BytesIO(seal(KEY, MESSAGE, CONTEXT)[:-1])
        reader = DecryptingReader(source.read, Decryptor(KEY, CONTEXT))

        with pytest.raises(Tampered):
            reader.readall()


class TestReadingByRange:
    @given(data=st.data())
    @settings(deadline=None, max_examples=40)
    def test_it_seeks_like_a_file(self, data: st.DataObject) -> None:
        sealed, clear = range_reader(MESSAGE), io.BytesIO(MESSAGE)

        for _ in range(10):
            whence = data.draw(st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]))
            origin = {io.SEEK_SET: 0, io.SEEK_CUR: clear.tell(), io.SEEK_END: len(MESSAGE)}[whence]
            offset = data.draw(st.integers(0, len(MESSAGE) + 5)) - origin
            length = data.draw(st.integers(0, 30_000))

            assert sealed.seek(offset, whence) == clear.seek(offset, whence)
            assert sealed.read(length) == clear.read(length)
            assert sealed.tell() == clear.tell()

    def test_there_is_nothing_before_the_beginning(self) -> None:
        with pytest.raises(ValueError, match="beginning"):
            range_reader(MESSAGE).seek(-1)

    def test_a_zip_file_goes_in_and_comes_out(self) -> None:
        sink = io.BytesIO()
        with (
            EncryptingWriter(sink, Encryptor(KEY, CONTEXT)) as writer,
            zipfile.ZipFile(writer, "w") as archive,  # type: ignore[call-overload]
        ):
            archive.writestr("orders.json", MESSAGE)
            archive.writestr("README.txt", "yours")
        blob = sink.getvalue()

        opened = Opened(KEY, CONTEXT, whole(blob), len(blob))
        with zipfile.ZipFile(io.BufferedReader(RangeReader(opened), READ_BYTES)) as archive:
            assert archive.testzip() is None
            assert archive.read("orders.json") == MESSAGE
            assert archive.read("README.txt") == b"yours"

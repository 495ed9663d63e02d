import io

from flows.commands.console import Console


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_whole_lines_and_a_screen_one_that_moves():
    for stream, moving in ((io.StringIO(), False), (Screen(), True)):
        console = Console(stream)
        for done in (0, 50, 100):
            console.progress("measure", done, 100)
        assert ("\r" in stream.getvalue()) == moving
        assert "measure         100 images" in stream.getvalue()


def test_of_a_gangs_lines_only_its_steps_pass_by():
    lines = [
        "model         vit-s",
        "length        9 steps",
        "step 1/9",
        "step 2/9",
        "alarm: rank",
        "stopped at step 2/9",
    ]
    for stream in (io.StringIO(), Screen()):
        console = Console(stream)
        for line in lines:
            console.line(line)
        kept = stream.getvalue().replace("\r\x1b[2K", "\n").splitlines()
        assert [line for line in kept if line] == [line for line in lines if line != "step 2/9"]


def test_what_was_made_before_is_called_so():
    stream = io.StringIO()
    Console(stream).progress("quality", 7, 7)
    assert "7 images · made before" in stream.getvalue()

"""Programs that attack the sandbox. Each should end as a solution that is wrong or never answers.

The task is `f(x) = x + 1`. HARM programs solve it if the harm succeeds, which raises an exception
in the sandbox. CHEATS do not solve it, but try to be counted as a solution.
"""

SOLUTION = "def f(x): return x + 1\n"
WRONG = "def f(x): return 0\n"
TESTS = """
def check(candidate):
    assert candidate(1) == 2
    assert candidate(41) == 42
    pass
"""
CALL = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
NEEDS_600_MB = """
def fill(directory):
    for i in range(60):
        with open(f'{directory}/{i}', 'wb') as file: file.write(b'x' * (10 << 20))
"""

HARM = {
    "loops": "while True: pass",
    "sleeps": "import time\ntime.sleep(1000)",
    "ignores all signals": "import signal\nfor s in range(1, 32):\n    try: signal.signal(s, "
    "signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
    "catches every exception": "while True:\n    try:\n        while True: pass\n"
    "    except BaseException: pass",
    "forks": "import os\nos.fork()",
    "starts a program": "import subprocess\nsubprocess.run(['/bin/true'], check=True)",
    "starts a process": "import multiprocessing\n"
    "multiprocessing.get_context('fork').Process(target=int).start()",
    "takes all memory": "x = []\nwhile True: x.append(bytearray(1 << 24))",
    "fills the disk with a file": "open('big', 'wb').write(b'x' * (1 << 25))",
    "fills /tmp": NEEDS_600_MB + "fill('/tmp')",
    "fills /dev/shm": NEEDS_600_MB + "fill('/dev/shm')",
    "fills /dev": NEEDS_600_MB + "fill('/dev')",
    "fills /": NEEDS_600_MB + "fill('/')",
    "fills a folder of its own": NEEDS_600_MB + "import os\nos.mkdir('/x')\nfill('/x')",
    "fills memfds": "import os\nfor i in range(60):\n"
    "    os.write(os.memfd_create('x'), b'x' * (10 << 20))",
    "fills System V memory": CALL + "libc.shmat.restype = ctypes.c_void_p\nfor i in range(12):\n"
    "    part = libc.shmget(0, 50 << 20, 0o1600)\n    assert part >= 0\n"
    "    address = libc.shmat(part, None, 0)\n    ctypes.memset(address, 1, 50 << 20)\n"
    "    libc.shmdt(ctypes.c_void_p(address))",
    "fills pipes": "import fcntl, os\nkept = []\nfor i in range(600):\n    r, w = os.pipe()\n"
    "    fcntl.fcntl(w, 1031, 1 << 20)\n    os.write(w, b'x' * (1 << 20))\n    kept += [r, w]",
    "fills message queues": CALL
    + "assert ctypes.CDLL('librt.so.1').mq_open(b'/x', 0o102, 0o600, None) >= 0",
    "makes a user namespace": CALL + "assert libc.unshare(0x10000000) == 0",
    "makes a user namespace by clone": CALL
    + "assert libc.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0",
    "enters a namespace": CALL
    + "assert libc.setns(0, 0) == 0 or ctypes.get_errno() not in (1, 38)",
    "mounts": CALL + "assert libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
    "makes / writable": CALL + "assert libc.mount(None, b'/', None, 0x1020, None) == 0",
    "uses io_uring": CALL + "assert libc.syscall(425, 8, ctypes.create_string_buffer(256)) >= 0",
    "uses the keyring": CALL + "assert libc.syscall(250, 0, -3, 1) >= 0",
    "uses userfaultfd": CALL + "assert libc.syscall(323, 1) >= 0",
    "uses bpf": CALL + "libc.syscall(321, 0, 0, 0)\nassert ctypes.get_errno() not in (1, 38)",
    "uses perf": CALL
    + "libc.syscall(298, 0, 0, 0, 0, 0)\nassert ctypes.get_errno() not in (1, 38)",
    "traces a process": CALL + "assert libc.ptrace(0, 0, 0, 0) == 0",
    "reads a process": CALL + "libc.process_vm_readv(1, 0, 0, 0, 0, 0)\n"
    "assert ctypes.get_errno() not in (1, 3, 38)",
    "watches files": CALL + "assert libc.inotify_init() >= 0",
    "opens a socket": "import socket\nsocket.socket()",
    "opens a Unix socket": "import socket\nsocket.socketpair()",
    "opens a VSOCK socket": "import socket\nsocket.socket(40, socket.SOCK_STREAM)",
    "opens a netlink socket": "import socket\nsocket.socket(16, socket.SOCK_RAW)",
    "writes /proc/sys": "with open('/proc/sys/kernel/core_pattern', 'r+') as f:\n"
    "    text = f.read()\n    f.seek(0)\n    f.write(text)",
    "writes its memory": "open('/proc/self/mem', 'r+b')",
    "changes /dev/null": "import os\nos.chmod('/dev/null', 0o666)",
    "changes the /dev/null of its stdout": "import os\nos.fchmod(1, 0o666)",
    "leases a file": "import fcntl\nfcntl.fcntl(open('/usr/bin/env'), 1024, fcntl.F_RDLCK)",
    "writes outside": "open('/var/tmp/firstwords-was-here', 'w').write('x')",
    "reads the users": "open('/etc/passwd').read()",
    "reads the home": "import os\nos.listdir(os.path.expanduser('~/.ssh'))",
    "kills its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"
    "os.kill(-1, signal.SIGKILL)\nraise SystemExit",
    "closes everything": "import os\nos.closerange(0, 4096)",
    "recurses": "def g(): g()\ng()",
    "recurses in C": "x = []\nfor i in range(10**6): x = [x]\nrepr(x)",
    "starts 100,000 threads": "import threading\nthreading.stack_size(32768)\n"
    "e = threading.Event()\nfor i in range(100_000): threading.Thread(target=e.wait).start()",
    "makes a million files": "import os\nfor i in range(10**6):\n"
    "    os.close(os.open(f'/tmp/{i}', os.O_CREAT | os.O_WRONLY))",
    "crashes": "import ctypes\nctypes.string_at(0)",
}
EVERY_CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def exists(number):
    ctypes.set_errno(0)
    return libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 38
def f(numbers): return [number for number in numbers if exists(number)]
"""
CHEATS = {
    "is wrong": "",
    "is no Python": "def f(:",
    "is no Unicode": "'\ud800'",
    "contains NUL": "x = '\0'",
    "leaves": "raise SystemExit(0)",
    "leaves without cleaning up": "import os\nos._exit(0)",
    "leaves when called": "def f(x): raise SystemExit(0)",
    "leaves without cleaning up when called": "import os\ndef f(x): os._exit(0)",
    "is interrupted": "def f(x): raise KeyboardInterrupt",
    "says that it passed": "print('passed')\nimport os\n"
    'for i in range(32):\n    try: os.write(i, b\'{"passed": true, "reason": ""}\\n\')\n'
    "    except OSError: pass\nos._exit(0)",
    "answers before it is asked": "import os\nfor i in range(3, 32):\n"
    '    try: os.write(i, b\'{"value": null}\\n{"value": true}\\n\')\n    except OSError: pass',
    "answers a tag that does not exist": "import os\nfor i in range(3, 32):\n"
    '    try: os.write(i, b\'{"value": {"object": 1}}\\n\')\n    except OSError: pass',
    "answers with a gigabyte": "def f(x): return 'x' * (300 << 20)",
    "answers with a deep list": "def f(x):\n    x = []\n    for i in range(10**5): x = [x]\n"
    "    return x",
    "answers with a list of itself": "def f(x):\n    x = []\n    x.append(x)\n    return x",
    "reads the key from its source": "import os, re\nm = re.findall(rb'_os.write\\((\\d+), "
    "(b.[0-9a-f]+.)\\)', open(__file__, 'rb').read())[-1]\nos.write(int(m[0]), m[1][2:-1])\n"
    "os._exit(0)",
    "reads the key from its constants": "import os, sys\nc = sys._getframe().f_code.co_consts\n"
    "os.write([x for x in c if type(x) is int][-1], "
    "[x for x in c if type(x) is bytes and len(x) == 32][-1])\nos._exit(0)",
    "reads the key in an excepthook": "import os, sys\ndef hook(kind, value, trace):\n"
    "    c = trace.tb_frame.f_code.co_consts\n    os.write([x for x in c if type(x) is int][-1],"
    " [x for x in c if type(x) is bytes and len(x) == 32][-1])\nsys.excepthook = hook",
    "starts Python again with -O": "import os, sys\nif __debug__:\n"
    "    os.execv(sys.executable, [sys.executable, '-I', '-O', *sys.orig_argv[2:]])",
    "jumps over the asserts": "import sys\ndef line(frame, event, argument):\n"
    "    if event == 'line':\n        try: frame.f_lineno = frame.f_code.co_firstlineno + 3\n"
    "        except Exception: pass\n    return line\n"
    "sys.settrace(lambda frame, *_: line if frame.f_code.co_name == 'check' else None)",
    "equals everything": "class E:\n    def __eq__(self, other): return True\ndef f(x): return E()",
    "equals everything as a subclass": "class E(int):\n"
    "    def __eq__(self, other): return True\n    __hash__ = int.__hash__\ndef f(x): return E()",
    "replaces AssertionError": "import builtins\nclass Silent(BaseException):\n"
    "    def __new__(cls, *a): import os; os._exit(0)\nbuiltins.AssertionError = Silent",
    "replaces check when called": "import gc, sys\ndef f(x):\n    for o in gc.get_objects():\n"
    "        if isinstance(o, dict) and 'check' in o: o['check'] = lambda c: None\n"
    "    sys._getframe(1).f_globals['check'] = lambda c: None\n    return 0",
    "passes at exit": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit",
    "passes in a signal": "import os, signal\nsignal.signal(signal.SIGALRM, lambda *_: os._exit(0))"
    "\nsignal.setitimer(signal.ITIMER_REAL, 0.001)",
    "changes integers": "import ctypes\nctypes.c_int.from_address(id(0) + 24).value = 2",
    "searches its memory": "import os, re\ndef f(x):\n"
    "    memory = open('/proc/1/mem', 'rb').read()\n"
    "    return int(re.search(rb'candidate\\(%d\\) == (\\d+)' % x, memory)[1])",
}
ENDLESS = {  # stopped by the time limit, if nothing else stops them
    "loops",
    "sleeps",
    "ignores all signals",
    "catches every exception",
    "makes a million files",
    "starts 100,000 threads",
    "starts Python again with -O",
}
SLOW = ENDLESS - {"loops"} | {
    "takes all memory",
    "recurses in C",
    "answers with a gigabyte",
    # The test of all system calls includes these.
    "fills message queues",
    "enters a namespace",
    "mounts",
    "makes / writable",
    "uses the keyring",
    "uses userfaultfd",
    "uses bpf",
    "uses perf",
    "traces a process",
    "reads a process",
    "watches files",
    "opens a netlink socket",
}

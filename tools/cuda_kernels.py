"""What nvcc makes of kernels/cuda: registers, spills and machine instructions of every kernel, and the limits of a
multiprocessor. Used by kernel-budget and kernel_report; needs no GPU."""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "kernels/cuda"
BUDGET = KERNELS / "budget.json"
# Of one multiprocessor: registers, bytes of shared memory, threads, blocks (CUDA C++ programming guide, table of
# technical specifications per compute capability). Each block takes 1 KiB of shared memory for itself.
LIMITS = {"sm_80": (65536, 164 * 1024, 2048, 32), "sm_90": (65536, 228 * 1024, 2048, 32)}

# The low 9 bits of an instruction of sm_80 and sm_90 (128 bits); found by disassembling small kernels.
OPCODES = {0x03c: "HMMA", 0x03b: "LDSM", 0x1ae: "LDGSTS", 0x181: "LDG", 0x186: "STG", 0x184: "LDS", 0x188: "STS",
           0x183: "LDL", 0x187: "STL", 0x11d: "BAR"}
# Bits 73 to 75 of an access to memory.
WIDTHS = {0: "8", 1: "8", 2: "16", 3: "16", 4: "32", 5: "64", 6: "128"}
# Products, matrix loads, copies and barriers follow from tile sizes, vector accesses also from how far nvcc unrolls a
# loop: another nvcc may ask for kernel-budget --write. LDL and STL are spills.
COUNTED = ("HMMA", "LDSM", "LDGSTS.128", "LDG.128", "STG.128", "BAR", "LDL", "STL")


def blocks_per_sm(arch, registers, shared_bytes, threads):
    all_registers, all_shared, all_threads, most = LIMITS[arch]
    warps = (threads + 31) // 32
    per_warp = -(-registers * 32 // 256) * 256
    return min(all_registers // (per_warp * warps), all_shared // (shared_bytes + 1024), all_threads // threads, most)


def count_instructions(cubin):
    """{mangled kernel name: {opcode: count}} of the opcodes of COUNTED that occur; predicated-off ones are left out."""
    sections_at, = struct.unpack_from("<Q", cubin, 40)
    size, number, names_index = struct.unpack_from("<HHH", cubin, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", cubin, sections_at + i * size) for i in range(number)]
    names_at = headers[names_index][4]
    kernels = {}
    for header in headers:
        start = names_at + header[0]
        name = cubin[start:cubin.index(b"\0", start)].decode()
        if not name.startswith(".text."):
            continue
        counts = {}
        for at in range(header[4], header[4] + header[5], 16):
            low, high = struct.unpack_from("<QQ", cubin, at)
            opcode = OPCODES.get(low & 0x1ff)
            if opcode is None or low >> 12 & 15 == 15:  # @!PT: never executed
                continue
            if opcode in ("LDGSTS", "LDG", "STG", "LDS", "STS"):
                opcode += "." + WIDTHS[high >> 9 & 7]
            if opcode in COUNTED:
                counts[opcode] = counts.get(opcode, 0) + 1
        kernels[name[len(".text."):]] = dict(sorted(counts.items(), key=lambda item: COUNTED.index(item[0])))
    return kernels


def readable(text):
    text = subprocess.run(["c++filt"], input=text, capture_output=True, text=True, check=True).stdout
    return text.replace("assize::kernels::cuda::", "").replace("(anonymous namespace)::", "")


def compile_all(nvcc, arch):
    """{kernel name: (registers, stack bytes, spilled bytes, {opcode: count})} of every kernel."""
    log, counts = "", {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(KERNELS.glob("*.cu")):
            cubin = Path(folder) / "kernel.cubin"
            command = [nvcc, "-std=c++20", "-O3", "-fmad=false", f"-I{ROOT}", "-cubin", f"-arch={arch}", "-Xptxas=-v",
                       str(source), "-o", str(cubin)]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                sys.exit(f"{source.name}, {arch}: nvcc failed\n{result.stderr[-3000:]}")
            log += result.stderr
            counts.update(count_instructions(cubin.read_bytes()))
    names = readable("\n".join(counts)).splitlines()
    by_name = {re.fullmatch(r"(?:void )?(.+?)\(\w*Params\)", name)[1]: count for name, count in zip(names, counts.values())}
    pattern = (r"Compiling entry function '(?:void )?(.+?)\(\w*Params\)' for.*?(\d+) bytes stack frame, "
               r"(\d+) bytes spill stores, (\d+) bytes spill loads.*?Used (\d+) registers")
    return {match[1]: (int(match[5]), int(match[2]), int(match[3]) + int(match[4]), by_name[match[1]])
            for match in re.finditer(pattern, readable(log), re.S)}

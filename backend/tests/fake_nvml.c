/* A stand-in for NVIDIA's management library with two GPUs. It reads how to behave from the file FAKE_NVML names:
   ok, absent, error, lost, hang. The second GPU answers nothing but its memory, as some cards do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned long long total, free, used; } Memory;
typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpuInstance, computeInstance; } Process;
typedef struct { unsigned pid; unsigned long long time; unsigned sm, mem, enc, dec; } Sample;

static char devices[2];

static int behave(void) {
    char mode[16] = "ok";
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    if (file) { if (fscanf(file, "%15s", mode) != 1) strcpy(mode, "ok"); fclose(file); }
    while (!strcmp(mode, "hang")) pause();
    if (!strcmp(mode, "absent")) return DRIVER_NOT_LOADED;
    if (!strcmp(mode, "lost")) return GPU_IS_LOST;
    return strcmp(mode, "error") ? SUCCESS : UNINITIALIZED;
}

static int first(void *device) { return device == &devices[0] ? SUCCESS : NOT_SUPPORTED; }

int nvmlInitWithFlags(unsigned flags) { (void)flags; return behave(); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int result) { return result == GPU_IS_LOST ? "GPU is lost" : "fake error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return behave(); }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &devices[index]; return SUCCESS; }
int nvmlDeviceGetName(void *d, char *name, unsigned size) { snprintf(name, size, "Fake GPU"); return first(d); }
int nvmlDeviceGetUUID(void *d, char *uuid, unsigned size) { snprintf(uuid, size, "GPU-fake"); return first(d); }
int nvmlDeviceGetUtilizationRates(void *d, Utilization *u) { u->gpu = 87; u->memory = 40; return first(d); }
int nvmlDeviceGetMemoryInfo(void *d, Memory *m) { (void)d; m->total = 8ULL << 30; m->used = 3ULL << 30; m->free = 5ULL << 30; return SUCCESS; }
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *t) { (void)sensor; *t = 71; return first(d); }
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw) { *mw = 215500; return first(d); }
int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *mw) { *mw = 300000; return first(d); }
int nvmlDeviceGetFanSpeed(void *d, unsigned *percent) { *percent = 55; return first(d); }
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz) { *mhz = type == 1 ? 1700 : 9500; return first(d); }
/* no nvmlDeviceGetCurrentClocksEventReasons: a driver from before it was named so */
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *bits) { *bits = 0x1 | 0x4 | 0x40; return first(d); }

int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *count, Process *found) {
    if (first(d)) return NOT_SUPPORTED;
    if (*count < 1) { *count = 1; return INSUFFICIENT_SIZE; }
    *count = 1;
    found[0].pid = atoi(getenv("FAKE_NVML_PID"));
    found[0].used = 2ULL << 30;
    return SUCCESS;
}

int nvmlDeviceGetProcessUtilization(void *d, Sample *found, unsigned *count, unsigned long long since) {
    (void)since;
    if (first(d)) return NOT_SUPPORTED;
    if (!found) { *count = 1; return INSUFFICIENT_SIZE; }
    *count = 1;
    found[0].pid = atoi(getenv("FAKE_NVML_PID"));
    found[0].time = 1;
    found[0].sm = 80;
    return SUCCESS;
}

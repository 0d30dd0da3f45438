/* The C API of Quaver: load a compiled model, ask what it takes and gives, run it on your own buffers.
 *
 *   quaver_model* model;
 *   if (quaver_load("model.quaver", NULL, &model) != QUAVER_OK) die(quaver_last_error());
 *   quaver_buffer in = {image, sizeof image, 4, {1, 3, 224, 224}}, out = {scores, sizeof scores};
 *   if (quaver_run(model, &in, 1, &out, 1) != QUAVER_OK) die(quaver_last_error());
 *   quaver_free(model);
 *
 * Handles are opaque; strings that a call returns live as long as the handle. Every function that can fail returns a
 * status; quaver_last_error() then tells this thread why, in one sentence. All functions may be called from any thread;
 * one model may run in many threads at once. C99. */
#ifndef QUAVER_H
#define QUAVER_H

#include <stddef.h>
#include <stdint.h>

#if defined(QUAVER_BUILD_LIBRARY)
#define QUAVER_API __attribute__((visibility("default")))
#else
#define QUAVER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum quaver_status {
  QUAVER_OK = 0,
  QUAVER_INVALID_INPUT = 1, /* a tensor or argument that does not fit */
  QUAVER_INVALID_MODEL = 2, /* a graph that breaks its operators' rules */
  QUAVER_UNSUPPORTED = 3,   /* a valid model that asks for what is not here */
  QUAVER_CORRUPT_FILE = 4,  /* truncated, damaged, or no compiled model */
  QUAVER_IO = 5,            /* the operating system said no */
  QUAVER_ISA = 6,           /* an instruction set that this CPU lacks, or an unknown name */
  QUAVER_OUT_OF_MEMORY = 7,
  QUAVER_INTERNAL = 8, /* a bug in Quaver */
  QUAVER_BUSY = 9      /* no room until others end what they do */
} quaver_status;

/* The numeric values never change. */
typedef enum quaver_dtype {
  QUAVER_F32 = 0,
  QUAVER_U8 = 1,
  QUAVER_S8 = 2,
  QUAVER_I32 = 3,
  QUAVER_I64 = 4,
  QUAVER_BOOL = 5,
  QUAVER_F64 = 6,
  QUAVER_F16 = 7,
  QUAVER_BF16 = 8,
  QUAVER_U16 = 9,
  QUAVER_S16 = 10,
  QUAVER_U32 = 11,
  QUAVER_U64 = 12
} quaver_dtype;

#define QUAVER_MAX_RANK 8

typedef struct quaver_tensor_info {
  const char* name;
  quaver_dtype dtype;
  int32_t rank;
  int64_t shape[QUAVER_MAX_RANK]; /* -1: dynamic */
} quaver_tensor_info;

/* Zero-initialized: the defaults. */
typedef struct quaver_options {
  uint32_t threads; /* 0: as many as this process may use */
  const char* isa;  /* NULL: the environment's QUAVER_ISA, else the best this CPU has */
  /* "bf16": products of floats take bf16 operands and sum in fp32, faster on CPUs with AVX-512 BF16. It changes
   * results. NULL or "fp32": all in fp32. */
  const char* float_precision;
} quaver_options;

/* A caller-owned dense buffer in row-major order, of any alignment. */
typedef struct quaver_buffer {
  void* data;
  size_t bytes;
  int32_t rank;
  int64_t shape[QUAVER_MAX_RANK];
} quaver_buffer;

typedef struct quaver_model quaver_model;

QUAVER_API const char* quaver_version(void);
/* The reason of this thread's last failure; "" where there was none. Valid until this thread's next failure. */
QUAVER_API const char* quaver_last_error(void);

/* Maps the file, which must not change while the model lives. `options` may be NULL. On failure *model is NULL. */
QUAVER_API quaver_status quaver_load(const char* path, const quaver_options* options, quaver_model** model);
/* The bytes are copied. */
QUAVER_API quaver_status quaver_load_memory(const void* data, size_t bytes, const quaver_options* options,
                                            quaver_model** model);
/* The model that a delta (the command `quaver delta`) makes of `base`, with the base's options; the base stays as it
 * is. The two share the memory of the unchanged constants. Maps the file as quaver_load does. QUAVER_INVALID_INPUT
 * where the delta was made from another model. */
QUAVER_API quaver_status quaver_update(const quaver_model* base, const char* path, quaver_model** model);
/* No run may be under way. NULL is fine. */
QUAVER_API void quaver_free(quaver_model* model);

/* 0 where `model` is NULL. */
QUAVER_API size_t quaver_input_count(const quaver_model* model);
QUAVER_API size_t quaver_output_count(const quaver_model* model);
QUAVER_API quaver_status quaver_input_info(const quaver_model* model, size_t index, quaver_tensor_info* info);
QUAVER_API quaver_status quaver_output_info(const quaver_model* model, size_t index, quaver_tensor_info* info);
/* What inputs of these shapes give: fills each output's rank, shape and bytes. Of `inputs` only rank and shape are
 * read. */
QUAVER_API quaver_status quaver_output_shapes(quaver_model* model, const quaver_buffer* inputs, size_t input_count,
                                              quaver_buffer* outputs, size_t output_count);
/* Runs once. Inputs and outputs are in the model's order. An input's bytes must be what its shape asks for; an output's
 * bytes, at least what the result needs; its rank and shape are filled in. Inputs are only read. No buffer may overlap
 * an output. Allocates nothing once warm for these shapes. */
QUAVER_API quaver_status quaver_run(quaver_model* model, const quaver_buffer* inputs, size_t input_count,
                                    quaver_buffer* outputs, size_t output_count);

/* A slot holds a model that can be exchanged while it runs: no run fails for it or waits for it, and each is of one
 * version from first to last. All versions take and give the same: names, dtypes, shapes, order.
 *
 *   quaver_slot* slot;
 *   if (quaver_slot_create(model, NULL, &slot) != QUAVER_OK) die(quaver_last_error());
 *   quaver_slot_run(slot, &in, 1, &out, 1, &version);            // in any number of threads
 *   quaver_load("newer.quaver", NULL, &newer);                   // run it once to warm it up and to see that it is
 * well if (quaver_slot_swap(slot, newer, 10000, NULL) != QUAVER_OK) warn(quaver_last_error()); quaver_free(newer);
 *
 * The slot keeps what it needs of a model given to it; the caller frees its own handle when it likes. A thread of the
 * slot drops a model that was swapped out, after its last run. */
typedef struct quaver_slot quaver_slot;

/* Zero-initialized: the defaults. */
typedef struct quaver_slot_options {
  uint64_t version;        /* of the first model; 0: 1 */
  uint32_t max_live;       /* models that may be in memory at once, old ones still running included; 0: 4 */
  int32_t forget_previous; /* not 0: the model before the current one is not kept for quaver_slot_rollback */
} quaver_slot_options;

/* `options` may be NULL. On failure *slot is NULL. */
QUAVER_API quaver_status quaver_slot_create(const quaver_model* model, const quaver_slot_options* options,
                                            quaver_slot** slot);
/* Makes `model` current. On failure all stays as it was: QUAVER_INVALID_INPUT where the model takes or gives something
 * else, QUAVER_BUSY where max_live models are still in use after timeout_ms. `version` may be NULL; where it is not, it
 * holds the new version's number, or 0 for one more than the highest so far, and gets that number. */
QUAVER_API quaver_status quaver_slot_swap(quaver_slot* slot, const quaver_model* model, uint32_t timeout_ms,
                                          uint64_t* version);
/* Makes the model before the current one current again, at once; a second call comes back. `version`, which may be
 * NULL, gets its number. QUAVER_INVALID_INPUT where none is kept. */
QUAVER_API quaver_status quaver_slot_rollback(quaver_slot* slot, uint64_t* version);
/* As quaver_run, on the version that is current at the start. `version` may be NULL; it gets that version's number,
 * also where the run fails. */
QUAVER_API quaver_status quaver_slot_run(quaver_slot* slot, const quaver_buffer* inputs, size_t input_count,
                                         quaver_buffer* outputs, size_t output_count, uint64_t* version);
/* The current version; 0 where `slot` is NULL. What made an answer, quaver_slot_run says. */
QUAVER_API uint64_t quaver_slot_version(quaver_slot* slot);
/* Frees the slot and its models. No call may be under way. NULL is fine. */
QUAVER_API void quaver_slot_free(quaver_slot* slot);

#ifdef __cplusplus
}
#endif

#endif

/* Runs any model on raw files, one for each input, and writes one for each output: OUT.0, OUT.1, ...
 *
 *   run MODEL.quaver OUT IN...
 *
 * Files hold the elements alone, row-major, in the machine's byte order (NumPy: array.tofile). A dynamic dimension is
 * taken from the file's size where it is the input's only one. */
#include <quaver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char* what, const char* why) {
  fprintf(stderr, "run: %s: %s\n", what, why);
  exit(1);
}

static void check(quaver_status status, const char* what) {
  if (status != QUAVER_OK) die(what, quaver_last_error());
}

static void* allocate(size_t size) {
  void* memory = calloc(1, size ? size : 1);
  if (!memory) die("memory", "out of it");
  return memory;
}

static size_t item_size(quaver_dtype dtype) {
  switch (dtype) {
    case QUAVER_U8:
    case QUAVER_S8:
    case QUAVER_BOOL: return 1;
    case QUAVER_F16:
    case QUAVER_BF16:
    case QUAVER_U16:
    case QUAVER_S16: return 2;
    case QUAVER_F32:
    case QUAVER_I32:
    case QUAVER_U32: return 4;
    case QUAVER_F64:
    case QUAVER_I64:
    case QUAVER_U64: return 8;
  }
  return 1;
}

static void read_file(const char* path, quaver_buffer* into) {
  FILE* file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) die(path, "cannot be read");
  const long size = ftell(file);
  if (size < 0) die(path, "cannot be read");
  rewind(file);
  into->bytes = (size_t)size;
  into->data = allocate(into->bytes);
  if (fread(into->data, 1, into->bytes, file) != into->bytes) die(path, "cannot be read");
  fclose(file);
}

static void write_file(const char* prefix, size_t index, const quaver_buffer* from) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s.%lu", prefix, (unsigned long)index) >= (int)sizeof path) die(prefix, "too long");
  FILE* file = fopen(path, "wb");
  if (!file || fwrite(from->data, 1, from->bytes, file) != from->bytes || fclose(file) != 0) {
    die(path, "cannot be written");
  }
}

/* The shape that the model declares, its dynamic dimension as large as the bytes make it. */
static void set_shape(const quaver_tensor_info* info, quaver_buffer* buffer) {
  size_t known = item_size(info->dtype);
  int dynamic = -1;
  buffer->rank = info->rank;
  for (int i = 0; i < info->rank; ++i) {
    buffer->shape[i] = info->shape[i];
    if (info->shape[i] >= 0) {
      known *= (size_t)info->shape[i];
    } else if (dynamic < 0) {
      dynamic = i;
    } else {
      die(info->name, "has more than one dynamic dimension");
    }
  }
  if (dynamic >= 0 && known) buffer->shape[dynamic] = (int64_t)(buffer->bytes / known);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: run MODEL.quaver OUT IN...\n");
    return 2;
  }
  quaver_model* model = NULL;
  check(quaver_load(argv[1], NULL, &model), "load");
  const size_t inputs = (size_t)argc - 3, outputs = quaver_output_count(model);
  if (inputs != quaver_input_count(model)) die(argv[1], "takes another number of inputs");

  quaver_buffer* in = allocate(inputs * sizeof *in);
  quaver_buffer* out = allocate(outputs * sizeof *out);
  for (size_t i = 0; i < inputs; ++i) {
    quaver_tensor_info info;
    check(quaver_input_info(model, i, &info), "input");
    read_file(argv[3 + i], &in[i]);
    set_shape(&info, &in[i]);
  }
  check(quaver_output_shapes(model, in, inputs, out, outputs), "shapes");
  for (size_t i = 0; i < outputs; ++i) out[i].data = allocate(out[i].bytes);
  check(quaver_run(model, in, inputs, out, outputs), "run");
  for (size_t i = 0; i < outputs; ++i) write_file(argv[2], i, &out[i]);

  for (size_t i = 0; i < inputs; ++i) free(in[i].data);
  for (size_t i = 0; i < outputs; ++i) free(out[i].data);
  free(in);
  free(out);
  quaver_free(model);
  return 0;
}

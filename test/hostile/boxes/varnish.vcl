vcl 4.1;

backend server {
  .host = "{{originHost}}";
  .port = "{{originPort}}";
}

# nothing

   
# at all
